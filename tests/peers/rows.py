"""The rows of the table: every layer that PyTorch has too, in each of the forms that its arguments give it."""

from __future__ import annotations

from peers.table import GRID, Row, below, kept

ACTIVATIONS = [
    Row(call, (GRID,))
    for call in (
        "ReLU()", "ReLU6()", "LeakyReLU()", "LeakyReLU(0.2)", "PReLU()", "ELU()", "ELU(alpha=0.5)", "SELU()", "CELU()",
        "CELU(alpha=2.0)", "GELU()", "GELU(approximate='tanh')", "SiLU()", "Mish()", "Softplus()",
        "Softplus(2.0, 3.0)", "Softsign()", "Sigmoid()", "LogSigmoid()", "Tanh()", "Hardtanh()",
        "Hardtanh(-2.0, 0.5)", "Hardswish()", "Softmax(dim=0)", "LogSoftmax(dim=0)",
    )
]  # fmt: skip

QKV = ((3, 2, 4), (5, 2, 4), (5, 2, 4))
ATTENTION = [
    Row("MultiHeadAttention(4, 2)", QKV, same_repr=False, theirs={"need_weights": False}),
    Row(
        "MultiHeadAttention(4, 2, bias=False, add_bias_kv=True, batch_first=True)",
        ((1, 3, 4), (1, 2, 4), (1, 2, 4)),
        same_repr=False,
        keywords={"need_weights": True, "keep_mask": kept((3, 2))},
        theirs={"attn_mask": "~keep_mask"},
    ),
    Row(
        "MultiHeadAttention(4, 2, 0.5, add_zero_attn=True, kdim=3, vdim=2)",
        ((3, 2, 4), (5, 2, 3), (5, 2, 2)),
        training=False,
        same_repr=False,
        keywords={"need_weights": True, "average_attn_weights": False, "keep_keys": kept((2, 5))},
        theirs={"key_padding_mask": "~keep_keys", "average_attn_weights": False},
    ),
    Row(
        "MultiHeadAttention(4, 2)",
        ((3, 4), (2, 4), (2, 4)),
        same_repr=False,
        keywords={"need_weights": True, "score_bias": (3, 2)},
        theirs={"attn_mask": "score_bias"},
    ),
    *(
        Row(f"TransformerEncoderLayer(4, 2, 3, 0.0{more})", ((3, 2, 4),), same_repr=False)
        for more in ("", ", 'gelu', norm_first=True", ", bias=False, layer_norm_eps=0.1")
    ),
    Row(
        "TransformerEncoderLayer(4, 2, 3, 0.2, batch_first=True)",
        ((2, 3, 4),),
        training=False,
        same_repr=False,
        keywords={"keep_mask": kept((3, 3)), "keep_keys": kept((2, 3))},
        theirs={"src_mask": "~keep_mask", "src_key_padding_mask": "~keep_keys"},
    ),
]

# Masks are not PyTorch's, so training is compared where nothing is dropped; tests/test_dropouts.py holds the rest.
DROPOUTS = [
    *(
        Row(f"{name}({p}", shape, training=training)
        for name, shape in (
            ("Dropout", ((2, 3),)),
            ("Dropout1d", ((2, 3, 2),)),
            ("Dropout2d", ((2, 3, 2, 1),)),
            ("Dropout3d", ((2, 3, 1, 2, 1),)),
            ("AlphaDropout", ((2, 3),)),
            ("FeatureAlphaDropout", ((2, 3, 2),)),
        )
        for p, training in ((")", False), ("p=0.0)", True), ("1.0)", True))
    ),
    Row("DropPath(0.2)", ((3, 2),), training=False, peer="timm.layers.DropPath(0.2)"),
    Row("DropPath()", ((3, 2),), peer="timm.layers.DropPath()"),
    Row("PatchDropout(0.5)", ((2, 5, 3),), training=False, same_repr=False, peer="timm.layers.PatchDropout(0.5)"),
]

ROWS: list[Row] = [
    *ACTIVATIONS,
    Row("Hardsigmoid()", (GRID,), tolerance=1e-8),  # PyTorch's sixth is a float32 in its float64 gradient
    Row("PReLU(3, 0.1)", ((2, 3, 2),)),
    Row("Softmax(1)", ((2, 3, 2),)),
    Row("LogSoftmax(dim=-1)", ((2, 3),)),
    Row("GLU()", ((2, 4),)),
    Row("GLU(1)", ((2, 4, 3),)),
    Row("Linear(5, 3)", ((4, 5),)),
    Row("Linear(5, 3, bias=False)", ((5,),)),
    Row("Linear(4, 3)", ((2, 3, 4),)),
    Row("Bilinear(3, 2, 4)", ((2, 3), (2, 2))),
    Row("Bilinear(2, 3, 2, bias=False)", ((2, 2, 2), (2, 2, 3))),
    Row("Embedding(5, 3)", (below(5, (2, 4)),)),
    Row("Embedding(5, 3, padding_idx=-2)", (below(5, (8,)),)),
    Row("Conv1d(2, 4, 3)", ((2, 2, 5),)),
    Row("Conv1d(2, 4, 3, padding=2, padding_mode='circular')", ((2, 2, 5),)),
    Row("Conv1d(2, 2, 4, padding='same', bias=False)", ((1, 2, 5),)),
    Row("Conv1d(2, 2, 4, padding='same', padding_mode='reflect')", ((1, 2, 5),)),
    Row("Conv2d(2, 4, 3)", ((2, 2, 4, 5),)),
    Row("Conv2d(4, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, bias=False)", ((1, 4, 5, 3),)),
    Row("Conv2d(1, 2, 3, padding='same', dilation=2)", ((1, 1, 5, 4),)),
    Row("Conv2d(1, 2, 3, padding='valid')", ((1, 4, 4),)),
    Row("Conv2d(1, 2, 3, 2, (1, 2), padding_mode='replicate')", ((1, 1, 4, 4),)),
    Row("Conv2d(1, 2, 3, 1, 1, padding_mode='reflect')", ((1, 1, 3, 4),)),
    Row("Conv3d(2, 2, 2)", ((1, 2, 3, 2, 3),)),
    Row("Conv3d(1, 1, (1, 2, 2), stride=(1, 2, 1), padding=(0, 1, 0), padding_mode='circular')", ((1, 1, 2, 3, 3),)),
    Row("ConvTranspose1d(2, 4, 3, stride=2, padding=1, output_padding=1)", ((2, 2, 3),)),
    Row("ConvTranspose2d(2, 2, 2, stride=2)", ((1, 2, 3, 2),)),
    Row("ConvTranspose2d(4, 2, (3, 2), groups=2, bias=False, dilation=2)", ((4, 2, 3),)),
    Row("ConvTranspose3d(1, 2, 2, stride=(1, 2, 1))", ((1, 1, 2, 2, 2),)),
    Row("MaxPool1d(2)", ((2, 2, 7),)),
    Row("MaxPool1d(2, stride=1, dilation=2)", ((2, 7),)),
    Row("MaxPool2d(2)", ((1, 2, 6, 4),)),
    Row("MaxPool2d(3, stride=2, padding=1)", ((1, 2, 5, 6),)),
    Row("MaxPool2d((1, 2))", ((1, 2, 3, 6),)),
    Row("MaxPool2d(3, 2, 1, (2, 1), ceil_mode=True)", ((1, 1, 6, 6),)),
    Row("MaxPool3d(2, stride=1)", ((1, 1, 3, 2, 3),)),
    Row("MaxPool3d((1, 2, 2), ceil_mode=True)", ((1, 1, 2, 3, 3),)),
    Row("AvgPool1d(2)", ((2, 2, 7),)),
    Row("AvgPool1d(3, 2, 1, True, False)", ((2, 6),)),
    Row("AvgPool2d(2)", ((1, 2, 6, 4),)),
    Row("AvgPool2d(3, stride=2, padding=1)", ((1, 1, 4, 5),)),
    Row("AvgPool2d(3, 2, 1, ceil_mode=True)", ((1, 1, 4, 6),)),
    Row("AvgPool2d((2, 3), 2, (1, 1), True, False, 5)", ((1, 1, 4, 5),)),
    Row("AvgPool3d(2, 1, 1, count_include_pad=False)", ((1, 1, 2, 2, 2),)),
    Row("AdaptiveAvgPool1d(3)", ((2, 2, 7),)),
    Row("AdaptiveAvgPool2d((3, None))", ((1, 2, 7, 3),)),
    Row("AdaptiveAvgPool2d(1)", ((2, 2, 3, 3),)),
    Row("AdaptiveAvgPool3d((2, 1, 3))", ((1, 1, 3, 2, 4),)),
    Row("AdaptiveMaxPool1d(3)", ((2, 7),)),
    Row("AdaptiveMaxPool2d((3, None))", ((1, 2, 7, 3),)),
    Row("AdaptiveMaxPool3d(2)", ((1, 1, 3, 2, 4),)),
    Row("Upsample(scale_factor=2)", ((1, 2, 3),)),
    Row("Upsample(scale_factor=(1.5, 2), mode='nearest')", ((1, 1, 3, 2),)),
    Row("Upsample((3, 7))", ((1, 1, 5, 3),)),
    Row("Upsample(size=5, mode='nearest-exact')", ((1, 1, 3),)),
    Row("Upsample(scale_factor=1.7, mode='linear')", ((1, 1, 4),)),
    Row("Upsample(scale_factor=1.7, mode='linear', recompute_scale_factor=True)", ((1, 1, 4),)),
    Row("Upsample(scale_factor=2, mode='bilinear')", ((1, 1, 2, 3),)),
    Row("Upsample((5, 2), mode='bilinear', align_corners=True)", ((1, 1, 3, 3),)),
    Row("Upsample(scale_factor=(2, 1, 2), mode='trilinear')", ((1, 1, 2, 2, 2),)),
    Row("Upsample((3, 5), mode='bicubic')", ((1, 1, 2, 3),)),
    Row("Upsample(scale_factor=2, mode='bicubic', align_corners=True)", ((1, 1, 2, 3),)),
    Row("Flatten()", ((2, 3, 4),)),
    Row("Flatten(0, 1)", ((2, 3, 4),)),
    Row("Unflatten(1, (2, 3))", ((2, 6),)),
    Row("Identity()", ((2, 3),)),
    Row("RNNCell(3, 2)", ((2, 3), (2, 2))),
    Row("RNNCell(2, 3, bias=False, nonlinearity='relu')", ((2,),)),
    Row("LSTMCell(3, 2)", ((2, 3), ((2, 2), (2, 2)))),
    Row("LSTMCell(2, 2, bias=False)", ((2, 2),)),
    Row("GRUCell(3, 2)", ((2, 3), (2, 2))),
    Row("GRUCell(2, 2, False)", ((2,),)),
    Row("RNN(2, 3)", ((4, 2, 2), (1, 2, 3))),
    Row("RNN(2, 2, 2, 'relu', False, True, bidirectional=True)", ((2, 3, 2),)),
    Row("LSTM(2, 3)", ((4, 2, 2), ((1, 2, 3), (1, 2, 3)))),
    Row("LSTM(2, 2, 2, batch_first=True, bidirectional=True)", ((1, 3, 2), ((4, 1, 2), (4, 1, 2)))),
    Row("LSTM(2, 3, num_layers=2, bias=False, proj_size=2)", ((3, 2, 2), ((2, 2, 2), (2, 2, 3)))),
    Row("LSTM(2, 2, 2, dropout=0.5, bidirectional=True)", ((3, 2),), training=False, same_repr=False),
    Row("GRU(2, 3)", ((4, 2, 2), (1, 2, 3))),
    Row("GRU(2, 2, num_layers=2, batch_first=True, bidirectional=True)", ((1, 3, 2),)),
    Row("GRU(1, 2, bias=False)", ((3, 1), (1, 2))),
    *ATTENTION,
    *DROPOUTS,
    Row("BatchNorm1d(4)", ((6, 4),)),
    Row("BatchNorm1d(4, eps=0.1, momentum=None)", ((3, 4, 2),)),
    Row("BatchNorm1d(4, affine=False)", ((6, 4),)),
    Row("BatchNorm1d(4, track_running_stats=False)", ((6, 4),)),
    Row("BatchNorm2d(3, momentum=0.3)", ((2, 3, 2, 2),)),
    Row("BatchNorm3d(2, affine=False)", ((3, 2, 2, 1, 2),)),
    Row("InstanceNorm1d(3)", ((2, 3, 4),)),
    Row("InstanceNorm1d(3, affine=True)", ((3, 4),)),
    Row(
        "InstanceNorm1d(2, 0.1, 0.3, True, True)",
        ((3, 2, 4),),
        apart=("num_batches_tracked",),  # PyTorch's never counts, so that its momentum=None moves nothing
    ),
    Row("InstanceNorm2d(2, affine=True)", ((2, 2, 2, 3),)),
    Row("InstanceNorm3d(2)", ((2, 2, 1, 2, 3),)),
    Row("LayerNorm(5)", ((3, 2, 5),)),
    Row("LayerNorm((2, 5), elementwise_affine=False)", ((3, 2, 5),)),
    Row("LayerNorm((2, 5), bias=False)", ((3, 2, 5),)),
    Row("GroupNorm(2, 6)", ((2, 6, 4),)),
    Row("GroupNorm(6, 6, affine=False)", ((2, 6, 2, 2),)),
    Row("GroupNorm(1, 4)", ((3, 4),)),
    Row("RMSNorm(5)", ((3, 2, 5),)),
    Row("RMSNorm((2, 3), 0.1, False)", ((2, 2, 3),)),
    Row("LocalResponseNorm(3, 0.5, 0.75, 2.0)", ((2, 5, 3),)),
    Row("LocalResponseNorm(4)", ((1, 5, 2, 2),)),
    Row("GlobalResponseNorm(3)", ((2, 2, 2, 3),), same_repr=False, peer="timm.layers.grn.GlobalResponseNorm(3)"),
    Row(
        "GlobalResponseNorm(3, channels_last=False)",
        ((2, 3, 2, 2),),
        same_repr=False,
        peer="timm.layers.grn.GlobalResponseNorm(3, channels_last=False)",
    ),
    Row(
        "FilterResponseNorm(3, 1e-5)",
        ((2, 3, 2, 2),),
        same_repr=False,
        tolerance=1e-5,  # timm takes the mean square in float32
        peer="timm.layers.filter_response_norm.FilterResponseNormTlu2d(3)",
    ),
    Row("EvoNormB0(2)", ((3, 2, 2, 2),), same_repr=False, tolerance=1e-5, peer="timm.layers.EvoNorm2dB0(2)"),
    Row(
        "EvoNormB0(2, False, eps=0.1)",
        ((3, 2, 2, 2),),
        same_repr=False,
        peer="timm.layers.EvoNorm2dB0(2, False, eps=0.1)",
    ),
    Row(
        "EvoNormS0(4, 2)",
        ((2, 4, 2, 2),),
        same_repr=False,
        tolerance=1e-5,  # timm takes its variances in float32
        peer="timm.layers.EvoNorm2dS0(4, 2)",
    ),
    Row("LayerScale(3, 0.1)", ((2, 3),), same_repr=False, peer="timm.layers.LayerScale(3, 0.1)"),
]
