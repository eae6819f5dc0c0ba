"""How people and heads ask: wordings that the classifier is trained on, chosen with, and tested on.

``{x}`` is an expression of the data set. Our own sentences, but for those that name a paper's head. Training composes
many more from parts, see :mod:`.phrasing`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rsground.types import Task

INSTRUCTIONS: Mapping[Task, str] = {
    Task.CAPTION: "Describe the image.",
    Task.SCENE: "What is the scene category of this image?",
    Task.HBB: "Output the bounding box of {x}",
    Task.OBB: "Give the oriented bounding box of {x}",
    Task.MASK: "Segment {x}",
    Task.GCG: "{x}",
    Task.CHANGE: "Segment what changed: {x}",
    Task.REGION_CAPTION: "{x}",
    Task.VQA: "{x}",
}
"""The plain instruction per task, for a preprocessor that no head has told its words. Expressions that are whole
sentences already (questions, grounded descriptions) stand alone."""

TRAINING: Mapping[Task, tuple[str, ...]] = {
    Task.CAPTION: (
        "Describe the image.",
        "Describe this aerial image in one sentence.",
        "Write a caption for the image.",
        "Give a short description of what the satellite image shows.",
        "Provide a detailed description of the scene.",
        "What does this image show?",
        "Summarise the content of this remote sensing image.",
        "Generate a caption of this picture.",
        "Please describe the overall layout of the image.",
        "Can you describe what you see in this photo?",
        "Briefly tell what is shown in the picture.",
        "In a few words, what is this image about?",
    ),
    Task.SCENE: (
        "What is the scene category of this image?",
        "Classify the scene.",
        "Which class does this image belong to?",
        "Classify the image into one of: airport, beach, farmland, forest, harbor, residential.",
        "What kind of place is this?",
        "Name the land use type of the image.",
        "Is this scene rural or urban?",
        "Choose the best label for this aerial scene.",
        "What type of area is shown in the image?",
        "Assign the image to a scene class.",
    ),
    Task.HBB: (
        "Output the bounding box of {x}",
        "Where is {x}?",
        "Locate {x} in the image.",
        "Find {x} and give its box.",
        "Give the coordinates of {x}.",
        "Detect {x}.",
        "Please provide the bounding box of {x}.",
        "Draw a box around {x}.",
        "In which part of the image is {x}?",
        "Localize {x} with [x1, y1, x2, y2].",
        "[grounding] {x}",
        "[detection] {x}",
        "Return the rectangle that encloses {x}.",
    ),
    Task.OBB: (
        "Give the oriented bounding box of {x}",
        "Output the rotated box of {x}.",
        "Locate {x} with an oriented box.",
        "What is the rotated bounding box of {x}?",
        "Give the four corners of {x}.",
        "Detect {x} and output its corners.",
        "Find {x}; answer with centre, width, height and angle.",
    ),
    Task.REGION_CAPTION: (
        "What is in the region [12, 30, 45, 80]?",
        "Describe the object in this box: [0.1, 0.2, 0.3, 0.4].",
        "What is the object at {{<120><44><180><90>}}?",
        "[refer] Describe the object at <box>[[120,44,180,90]]</box>.",
        "Give a referring expression for the region [5, 5, 60, 44].",
        "Which class does the object inside the box [100, 200, 340, 400] belong to?",
        "Identify the object inside the red rectangle.",
    ),
    Task.VQA: (
        "How many cars are in the image?",
        "How many buildings are there?",
        "Is there a ship in the image?",
        "Are there more trees than cars?",
        "Is a large commercial building present in the image?",
        "Is the number of buildings equal to the number of water areas?",
        "What colour is {x}?",
        "What is the colour of the largest roof?",
        "What is next to {x}?",
        "Is there a road beside {x}?",
        "What is the object category of {x}?",
        "Is {x} larger than the building on the left?",
        "Count the planes.",
        "Which direction does {x} face?",
    ),
    Task.MASK: (
        "Segment {x}",
        "Can you segment {x} in the given image?",
        "Please segment {x}.",
        "Output the segmentation mask of {x}.",
        "Give the mask of {x}.",
        "Show me the pixels of {x}.",
        "Which pixels belong to {x}?",
        "Please output a segmentation mask for {x}.",
        "Mask {x} in the picture.",
        "Draw the exact outline of {x}.",
        "[seg] {x}",
        "Highlight every pixel of {x}.",
        "Could you provide a pixel-wise mask of {x}?",
        "Trace the contour of {x}.",
    ),
    Task.GCG: (
        "Describe the image and ground every phrase.",
        "Give a detailed description of this aerial image with segmentation masks for what you mention.",
        "What can be seen here? Interleave the answer with masks.",
        "Describe the image with interleaved segmentation masks for each phrase.",
        "Provide a caption with a mask for each object that you mention.",
        "Write a description whose phrases are linked to segmentation masks.",
        "Describe what you see and segment it.",
        "Respond with masks for the corresponding parts of your description.",
    ),
    Task.CHANGE: (
        "Segment what changed: {x}",
        "Give the mask of the change: {x}",
        "Segment the differences between the two images.",
        "Which pixels changed between the first and the second image?",
        "Outline every new building.",
        "Output a change mask for {x}.",
    ),
}
"""Wordings that the classifier learns from, beside the heads' own questions."""

DEVELOPMENT: Mapping[Task, tuple[str, ...]] = {
    Task.CAPTION: (
        "Tell me what this aerial photograph depicts.",
        "Could you give a summary of the picture?",
        "Compose one sentence about this satellite photo.",
        "Explain what is going on in the image as a whole.",
        "I need an alt text for this image.",
    ),
    Task.SCENE: (
        "To which scene type would you assign this photo?",
        "Pick the category that fits the picture best: farmland, harbor, stadium.",
        "What land cover class dominates here?",
        "Label the scene of this aerial photograph.",
    ),
    Task.HBB: (
        "Point out the location of {x}.",
        "Tell me the box coordinates for {x}.",
        "I am looking for {x}; give me its bounding rectangle.",
        "Can you find {x} for me?",
        "Show where {x} is using a bounding box.",
        "Ground the phrase: {x}",
    ),
    Task.OBB: (
        "I want a rotated rectangle that tightly fits {x}.",
        "Provide an oriented bounding box around {x}.",
        "Tell me the corner points of {x}.",
    ),
    Task.REGION_CAPTION: (
        "Tell me what lies inside the box [40, 41, 77, 90].",
        "What object does the rectangle <box>[[3,4,50,60]]</box> contain?",
        "Name the thing located at [0.42, 0.51, 0.60, 0.77].",
    ),
    Task.VQA: (
        "What number of ships can you count?",
        "Do you see any tennis court?",
        "Are there fewer trucks than buses here?",
        "Which colour does {x} have?",
        "Is {x} parked near a building?",
        "What lies to the left of {x}?",
    ),
    Task.MASK: (
        "Would you produce a segmentation of {x}?",
        "I need a binary mask that covers {x}.",
        "Mark all pixels covered by {x}.",
        "Delineate {x} pixel by pixel.",
        "Return the segmented area of {x}.",
        "Carefully cut out the shape of {x} as a mask.",
    ),
    Task.GCG: (
        "Could you describe this photo and output segmentation masks for the objects in your answer?",
        "Explain the scene; every noun phrase should come with its mask.",
        "Caption the picture with grounded masks.",
    ),
    Task.CHANGE: (
        "Mark the pixels that differ between both dates.",
        "Produce a mask of what has been built since the earlier image.",
        "Segment all changes: {x}",
    ),
}
"""Wordings that training never uses; the encoder's size and the parts of :mod:`.phrasing` were chosen by them."""

UNSEEN: Mapping[Task, tuple[str, ...]] = {
    Task.CAPTION: (
        "How would you describe this view from above to someone who cannot see it?",
        "Put the content of the photograph into words.",
        "Narrate what the satellite recorded here.",
        "Sum up this overhead picture for a report.",
        "What is going on in this image?",
    ),
    Task.SCENE: (
        "Decide on the most suitable scene label.",
        "Is this an airport, a harbor or a farmland scene?",
        "Categorize the aerial image.",
        "What sort of landscape are we looking at?",
        "Under which land use heading does the image fall?",
    ),
    Task.HBB: (
        "Report the extent of {x} as a box.",
        "Where in the picture can I see {x}?",
        "Give me x and y of the upper left and lower right corner of {x}.",
        "Please tell me where {x} is located.",
        "Put a bounding box on {x}.",
        "Search the image for {x} and report its position.",
    ),
    Task.OBB: (
        "What rotated rectangle encloses {x}?",
        "Oriented box for {x}, please.",
        "Fit a tilted box to {x}.",
    ),
    Task.REGION_CAPTION: (
        "Look at [55, 61, 120, 99]. What is there?",
        "Which object is enclosed by {{<12><400><80><460>}}?",
        "How would you refer to the object in box (10, 20, 30, 40)?",
    ),
    Task.VQA: (
        "Can any vehicle be seen?",
        "Is the harbor busy?",
        "Give the number of storage tanks.",
        "Are the planes outnumbered by the trucks?",
        "Does {x} have a white roof?",
        "Does a road pass {x}?",
    ),
    Task.MASK: (
        "Separate {x} from the background.",
        "Produce the mask for {x}.",
        "I would like to have {x} segmented.",
        "Fill in the pixels that make up {x}.",
        "Provide a per-pixel segmentation of {x}.",
        "What is the exact shape of {x}? Answer with a mask.",
    ),
    Task.GCG: (
        "Tell me about the image and add a mask for each thing you name.",
        "Please describe the picture with grounded segmentation.",
        "Generate a caption in which objects are tied to masks.",
    ),
    Task.CHANGE: (
        "Compare the two acquisitions and segment what is new.",
        "Give a binary map of the changes.",
        "Where did pixels change? Return a mask.",
    ),
}
"""The test: written before any score on it was seen, and neither trained on nor chosen by."""


def instruction(task: Task, expression: str) -> str:
    """The plain instruction for a task and an expression."""
    return INSTRUCTIONS[task].replace("{x}", expression.strip())
