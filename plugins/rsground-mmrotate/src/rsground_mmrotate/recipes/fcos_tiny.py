# ruff: noqa: C408 - keywords read as MMEngine's own configs do
"""A small rotated FCOS for 256-pixel images, from random weights: about 3.1 million parameters, finest stride 4.

An MMEngine config; ``python -m rsground_mmrotate.train`` fills in the data, the categories and the length. Losses are
those that run without CUDA: IoU of sides in the box's own frame, the angle as phase shifts (no jump at 90 degrees,
squares allowed), Python's focal loss. Losses of Gaussians (KLD) gave NaN from random
weights: a side of 0 has no inverse.
"""

default_scope = "mmrotate"
size = 256
num_classes = 15
iterations = 3000
batch_size = 8
learning_rate = 1e-3

model = dict(
    type="mmdet.FCOS",
    data_preprocessor=dict(
        type="mmdet.DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        boxtype2tensor=False,
    ),
    backbone=dict(
        type="mmdet.ResNet",
        depth=18,
        base_channels=32,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=False,
        style="pytorch",
        init_cfg=None,
    ),
    neck=dict(
        type="mmdet.FPN",
        in_channels=[32, 64, 128, 256],
        out_channels=64,
        start_level=0,
        num_outs=4,
        norm_cfg=dict(type="BN", requires_grad=True),
    ),
    bbox_head=dict(
        type="RotatedFCOSHead",
        num_classes=num_classes,
        in_channels=64,
        stacked_convs=2,
        feat_channels=64,
        strides=[4, 8, 16, 32],
        regress_ranges=((-1, 20), (20, 48), (48, 96), (96, 1e8)),
        center_sampling=True,
        center_sample_radius=1.5,
        norm_on_bbox=True,
        centerness_on_reg=True,
        use_hbbox_loss=True,
        scale_angle=False,
        angle_coder=dict(type="PSCCoder", angle_version="le90", dual_freq=True, num_step=3),
        norm_cfg=dict(type="GN", num_groups=8, requires_grad=True),
        bbox_coder=dict(type="DistanceAnglePointCoder", angle_version="le90"),
        loss_cls=dict(type="mmdet.FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type="mmdet.IoULoss", loss_weight=1.0),
        loss_angle=dict(type="mmdet.L1Loss", loss_weight=0.2),
        loss_centerness=dict(type="mmdet.CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0),
        init_cfg=dict(
            type="Normal",
            layer="Conv2d",
            std=0.01,
            override=[
                dict(type="Normal", name="conv_cls", std=0.01, bias_prob=0.01),
                dict(type="Normal", name="conv_reg", std=0.01, bias=1.0),  # boxes begin two strides wide, not at 0
            ],
        ),
    ),
    train_cfg=None,
    test_cfg=dict(
        nms_pre=500,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type="nms_rotated", iou_threshold=0.1),
        max_per_img=300,
    ),
)

metainfo = dict(classes=())
_box = dict(type="ConvertBoxType", box_type_mapping=dict(gt_bboxes="rbox"))
_facts = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
train_pipeline = [
    dict(type="mmdet.LoadImageFromFile"),
    dict(type="mmdet.LoadAnnotations", with_bbox=True, box_type="qbox"),
    _box,
    dict(type="mmdet.Resize", scale=(size, size), keep_ratio=True),
    dict(type="mmdet.RandomFlip", prob=0.75, direction=["horizontal", "vertical", "diagonal"]),
    dict(type="mmdet.PackDetInputs"),
]
val_pipeline = [
    dict(type="mmdet.LoadImageFromFile"),
    dict(type="mmdet.Resize", scale=(size, size), keep_ratio=True),
    dict(type="mmdet.LoadAnnotations", with_bbox=True, box_type="qbox"),
    _box,
    dict(type="mmdet.PackDetInputs", meta_keys=_facts),
]
test_pipeline = [
    dict(type="mmdet.LoadImageFromFile"),
    dict(type="mmdet.Resize", scale=(size, size), keep_ratio=True),
    dict(type="mmdet.PackDetInputs", meta_keys=_facts),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    batch_sampler=None,
    dataset=dict(
        type="DOTADataset",
        data_root="",
        metainfo=metainfo,
        ann_file="labelTxt/",
        data_prefix=dict(img_path="images/"),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="DOTADataset",
        data_root="",
        metainfo=metainfo,
        ann_file="labelTxt/",
        data_prefix=dict(img_path="images/"),
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="DOTAMetric", metric="mAP")
test_evaluator = val_evaluator

train_cfg = dict(type="IterBasedTrainLoop", max_iters=iterations, val_interval=3000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=learning_rate, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10, norm_type=2),
)
warm_up = dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=200)
param_scheduler = [warm_up, dict(type="CosineAnnealingLR", eta_min=1e-5, by_epoch=False, begin=200, end=iterations)]
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=100, max_keep_ckpts=2),
    sampler_seed=dict(type="DistSamplerSeedHook"),
)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0))
visualizer = None
log_processor = dict(type="LogProcessor", window_size=50, by_epoch=False)
log_level = "INFO"
load_from = None
resume = False
