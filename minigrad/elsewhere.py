"""What other libraries call things, and what to use here: functions, layers, losses, methods, keywords, devices.

Only the tables: `answers.py` makes errors of them, from what there is when a mistake is made. A name that comes to
exist is not answered any more, and of several remedies the first that is there is given.
"""

from __future__ import annotations

# ---- names that modules are asked for

CALLED = {  # what is here, up to the first sign that no name has: what others call it
    "mg.abs": "absolute fabs",
    "mg.acos": "arccos", "mg.acosh": "arccosh", "mg.asin": "arcsin", "mg.asinh": "arcsinh", "mg.atan": "arctan",
    "mg.atan2": "arctan2", "mg.atanh": "arctanh",
    "mg.arange": "range", "mg.astype": "cast convert_element_type",
    "mg.avg_pool1d": "average_pooling1d", "mg.avg_pool2d": "average_pooling2d avg_pool",
    "mg.broadcast_arrays": "broadcast_tensors", "mg.broadcast_to": "expand",
    "mg.clip": "clamp clip_by_value", "mg.concat": "concatenate cat hstack vstack column_stack append",
    "mg.conv1d": "convolve", "mg.conv2d": "conv",
    "mg.cumprod": "cumulative_prod", "mg.cumsum": "cumulative_sum",
    "mg.divide": "div true_divide", "mg.equal": "eq", "mg.expand_dims": "unsqueeze newaxis",
    "mg.flip": "flipud fliplr reverse", "mg.floor_divide": "floor_div",
    "mg.full": "fill", "mg.greater": "gt", "mg.greater_equal": "ge gte",
    "mg.less": "lt", "mg.less_equal": "le lte", "mg.matmul": "mm bmm dot",
    "mg.max": "amax reduce_max", "mg.mean": "average reduce_mean", "mg.min": "amin reduce_min",
    "mg.max_pool2d": "max_pool max_pooling2d", "mg.max_pool1d": "max_pooling1d",
    "mg.moveaxis": "movedim", "mg.multiply": "mul", "mg.negative": "neg", "mg.not_equal": "ne",
    "mg.no_grad": "no_gradient inference_mode set_grad_enabled", "mg.gradients": "GradientTape",
    "mg.permute_dims": "transpose permute", "mg.power": "pow", "mg.prod": "reduce_prod",
    "mg.relu": "rectify", "mg.remainder": "mod fmod", "mg.remat": "checkpoint recompute_grad",
    "mg.repeat": "repeat_interleave", "mg.reshape": "view ravel flatten", "mg.round": "rint around",
    "mg.rsqrt": "inverse_sqrt", "mg.scatter_add": "index_add segment_sum", "mg.sigmoid": "expit",
    "mg.silu": "swish", "mg.split": "chunk", "mg.stop_gradient": "detach",
    "mg.subtract": "sub", "mg.sum": "reduce_sum nansum", "mg.swapaxes": "swapdims",
    "mg.take": "index_select", "mg.take_along_axis": "gather", "mg.tensor": "array asarray as_tensor from_numpy "
    "convert_to_tensor constant variable FloatTensor LongTensor", "mg.topk": "partition argpartition top_k",
    "mg.trunc": "fix", "mg.unstack": "unbind", "mg.value_and_grad": "grad_and_value",
    "mg.vecdot": "inner vdot", "mg.jacobian": "jacrev jacfwd", "mg.use_device": "set_default_device device",
    "mg.linalg.slogdet, which gives sign and logarithm": "logdet",
    "mg.linalg.det": "det", "mg.linalg.slogdet, which gives the sign and the logarithm of its size": "det",
    "mg.linalg.eigh, for symmetric matrices": "eig eigvals eigvalsh",
    # random numbers
    "mg.random.normal(shape)": "randn standard_normal randn_like", "mg.random.uniform(shape)": "rand random_sample "
    "rand_like", "mg.random.integers": "randint", "mg.random.permutation": "randperm shuffle",
    "mg.random.seed": "manual_seed set_seed PRNGKey set_random_seed", "mg.random.Generator": "default_rng RandomState",
    "mg.random.bernoulli": "binomial",
    # losses and figures
    "mg.losses.mse": "mse_loss MSELoss mean_squared_error", "mg.losses.mae": "l1_loss L1Loss mean_absolute_error",
    "mg.losses.huber": "smooth_l1_loss SmoothL1Loss HuberLoss",
    "mg.losses.cross_entropy": "CrossEntropyLoss sparse_categorical_crossentropy categorical_crossentropy "
    "softmax_cross_entropy softmax_cross_entropy_with_logits",
    "mg.losses.binary_cross_entropy": "BCELoss binary_crossentropy bce",
    "mg.losses.binary_cross_entropy_with_logits": "BCEWithLogitsLoss sigmoid_binary_cross_entropy "
    "sigmoid_cross_entropy_with_logits",
    "mg.losses.nll": "NLLLoss nll_loss", "mg.losses.kl_div": "KLDivLoss kl_divergence",
    "mg.losses.hinge": "hinge_loss", "mg.losses.cosine": "cosine_similarity CosineEmbeddingLoss",
    "mg.training.accuracy": "acc sparse_categorical_accuracy categorical_accuracy binary_accuracy accuracy_score",
    # optimisers
    "mg.optim.RMSprop": "RMSprop", "mg.optim.Adam": "RMSprop Adagrad Adadelta Nadam NAdam RAdam Adamax",
    "mg.optim.Lion": "Lion", "mg.optim.AdamW": "Lion", "mg.optim.SGD": "gradient_descent LBFGS",
    # layers
    "minigrad_layers.Linear": "Dense FullyConnected", "minigrad_layers.Embedding": "Embed",
    "minigrad_layers.BatchNorm1d, or BatchNorm2d for pictures": "BatchNormalization BatchNorm",
    "minigrad_layers.LayerNorm": "LayerNormalization", "minigrad_layers.GroupNorm": "GroupNormalization",
    "minigrad_layers.Dropout1d": "SpatialDropout1D", "minigrad_layers.Dropout2d": "SpatialDropout2D",
    "minigrad_layers.Dropout3d": "SpatialDropout3D", "minigrad_layers.VariationalDropout": "LockedDropout",
    "minigrad_layers.DropConnect": "WeightDrop WeightDropout", "minigrad_layers.DropPath": "StochasticDepth LayerDrop",
    "minigrad_layers.Conv1d": "Convolution1D Conv1D", "minigrad_layers.Conv2d": "Convolution2D Conv2D",
    "minigrad_layers.Conv3d": "Convolution3D Conv3D",
    "minigrad_layers.ConvTranspose2d": "Conv2DTranspose Deconvolution2D",
    "minigrad_layers.MaxPool1d": "MaxPooling1D", "minigrad_layers.MaxPool2d": "MaxPooling2D",
    "minigrad_layers.AvgPool1d": "AveragePooling1D", "minigrad_layers.AvgPool2d": "AveragePooling2D AvgPool",
    "minigrad_layers.GlobalAvgPool1d": "GlobalAveragePooling1D",
    "minigrad_layers.GlobalAvgPool2d": "GlobalAveragePooling2D",
    "minigrad_layers.GlobalMaxPool1d": "GlobalMaxPooling1D", "minigrad_layers.GlobalMaxPool2d": "GlobalMaxPooling2D",
    "minigrad_layers.Upsample": "UpSampling1D UpSampling2D UpsamplingNearest2d UpsamplingBilinear2d interpolate",
    "minigrad_layers.MultiHeadAttention": "MultiheadAttention SelfAttention",
    "minigrad_layers.TransformerEncoderLayer": "Transformer TransformerBlock EncoderBlock",
    "minigrad_layers.SiLU": "Swish", "minigrad_layers.RNN": "SimpleRNN", "minigrad_layers.Unflatten": "Reshape",
    "minigrad_layers.Sequential": "Model", "mg.Module": "Layer Block Function",
    "mg.load": "restore load_model", "mg.save": "savez save_model", "mg.fit": "train Trainer",
    "mg.data.DataLoader": "TensorDataset Dataset from_tensor_slices", "mg.data.split": "train_test_split random_split",
    "mg.trace": "make_dot plot_model make_jaxpr", "mg.debug.nan_guard": "detect_anomaly set_detect_anomaly",
    "mg.init.kaiming_uniform": "he_uniform HeUniform", "mg.init.kaiming_normal": "he_normal HeNormal",
    "mg.init.xavier_uniform": "glorot_uniform GlorotUniform", "mg.init.xavier_normal": "glorot_normal GlorotNormal",
}  # fmt: skip

INSTEAD = {  # what has no counterpart of one name
    "nn": "the layers are in minigrad_layers, mg.Module is their base, and functions are in mg itself",
    **dict.fromkeys(("svd", "svdvals"), "mg.linalg.eigh of x.mT @ x has the squares of the singular values"),
    "array_split": "mg.split takes the positions of the cuts, for parts of any size",
    "kron": "mg.einsum('ij,kl->ikjl', a, b), reshaped, is the product of Kronecker",
    **dict.fromkeys(("functional", "F"), "functions are in mg itself, losses in mg.losses"),
    **dict.fromkeys(("autograd", "jit", "compile", "vmap"), "call functions as they are; mg.grad differentiates them"),
    **dict.fromkeys(("cuda", "cupy", "device_count"), 'x.to("cupy") moves a tensor there'),
    **dict.fromkeys(("float32", "float64", "float16", "int64", "int32", "bool_", "double", "half", "long"),
                    'dtypes are written as text, "float32", or as NumPy\'s'),
    "T": "a tensor has it, x.T", "empty": "use mg.zeros(shape): nothing here is left without a value",
    "pi": "use math.pi", "inf": "use math.inf", "nan": "use math.nan",
    "Activation": "an activation is a layer of its own, such as minigrad_layers.ReLU(), or a function, such as "
    "mg.tanh, in a forward of your own",
    **dict.fromkeys(("Input", "InputLayer"), "a layer is told its sizes when it is constructed: Linear(in, out)"),
    **dict.fromkeys(("load_state_dict", "state_dict"), "a model has it; mg.save and mg.load write and read files"),
}  # fmt: skip

# ---- attributes

_HOST = "x.numpy() gives a writable NumPy array that has it"
_WRITES = "tensors are never written in place; "
_REAL = "tensors are real, so it would be x itself"

TENSOR = {  # what arrays of NumPy and tensors of PyTorch have and a Tensor has not
    # NumPy
    **dict.fromkeys(("base", "byteswap", "ctypes", "dump", "dumps", "flags", "getfield", "strides", "tobytes"), _HOST),
    **dict.fromkeys(("tofile", "choose"), _HOST),
    **dict.fromkeys(("conj", "conjugate", "real"), _REAL),
    "imag": "tensors are real, so it would be 0",
    **dict.fromkeys(("argpartition", "partition"), "use minigrad.topk(x, k), or minigrad.argsort(x)"),
    "compress": "use a mask, x[mask], or minigrad.take(x, indices, axis)",
    "copy": "nobody writes into a tensor, so it needs no copy; x.detach() is not tracked, minigrad.tensor(x) is a leaf",
    "dot": "use x @ y, or minigrad.tensordot(x, y, 1) for NumPy's dot of many axes",
    "fill": _WRITES + "use minigrad.full(shape, value)",
    "flat": "use x.ravel()",
    "nonzero": "how many there are depends on the values; use minigrad.where, or x.numpy().nonzero()",
    "put": _WRITES + "use minigrad.where(mask, new, x) or minigrad.scatter_add(x, index, values)",
    "resize": _WRITES + "use x.reshape(shape), or minigrad.pad(x, widths)",
    **dict.fromkeys(("setfield", "setflags", "itemset"), _WRITES + "a leaf takes new data: x.data = array"),
    "sort": _WRITES + "minigrad.sort(x) gives the sorted tensor",
    "to_device": "use x.to(device)",
    "view": "use x.reshape(shape), or x.astype(dtype)",
    # PyTorch
    "clone": "nobody writes into a tensor, so it needs no copy; use it as it is",
    "cpu": 'use x.to("numpy")',
    "cuda": 'use x.to("cupy")',
    **{k: f'use x.astype("{v}")' for k, v in (("half", "float16"), ("float", "float32"), ("double", "float64"),
                                             ("int", "int32"), ("long", "int64"), ("bool", "bool"))},
    "type": "use x.astype(dtype)",
    "detach_": "use x.detach()",
    "requires_grad_": "use x.requires_grad = True",
    "retain_grad": "use minigrad.gradients(y, [x]), or x.register_hook(print)",
    "grad_fn": "use minigrad.trace() to see how x came about; x.is_leaf says whether it was computed",
    "permute": "use x.transpose(axes), or minigrad.permute_dims(x, axes)",
    "unsqueeze": "use minigrad.expand_dims(x, axis), or x[:, None]",
    **dict.fromkeys(("expand", "expand_as"), "use minigrad.broadcast_to(x, shape)"),
    "view_as": "use x.reshape(y.shape)",
    "t": "use x.T",
    **dict.fromkeys(("mm", "bmm", "matmul"), "use x @ y"),
    "numel": "use x.size",
    "dim": "use x.ndim",
    "masked_fill": "use minigrad.where(mask, value, x)",
    "gather": "use minigrad.take_along_axis(x, indices, axis)",
    "index_select": "use minigrad.take(x, indices, axis)",
    "contiguous": "how a tensor lies in memory is never seen; use it as it is",
    "assign": _WRITES + "a leaf takes new data: x.data = array",
    "eval": "values are computed at once; x.numpy() gives them",
    **{f"{k}_": _WRITES + "compute the new value and rebind the name" for k in
       ("add", "sub", "mul", "div", "zero", "fill", "copy", "clamp", "normal", "uniform")},
    **{k: f"it is a function, minigrad.linalg.{k}(x)" for k in "cholesky eigh inv norm qr slogdet solve sqrtm".split()},
    "det": "minigrad.linalg.slogdet(x) gives its sign and logarithm",
}  # fmt: skip

_FIT = "use mg.fit(model, (X, y), loss=mg.losses.mse, optimizer=mg.optim.Adam(model.parameters()))"

MODULE = {
    **dict.fromkeys(("cuda", "gpu"), 'use model.to("cupy")'),
    "cpu": 'use model.to("numpy")',
    **{k: f'use model.astype("{v}")' for k, v in (("half", "float16"), ("float", "float32"), ("double", "float64"))},
    "type": "use model.astype(dtype)",
    "device": "parameters have one: next(model.parameters()).device",
    "dtype": "parameters have one: next(model.parameters()).dtype",
    "summary": "use mg.summary(model, shape of an input)",
    **dict.fromkeys(("fit", "train_on_batch"), _FIT),
    "compile": "there is nothing to compile, since loss and optimizer are arguments of fit; " + _FIT,
    "evaluate": "give mg.fit valid=(X, y), or compute the loss of model.eval()(X) under mg.no_grad()",
    **dict.fromkeys(("predict", "predict_on_batch"), "call the model: with mg.no_grad(): y = model.eval()(x)"),
    "call": "call the model itself, model(x); a layer defines forward",
    "add": "a container is built at once, Sequential(first, second), or from a list, Sequential(*layers)",
    "append": "a container is built at once, from a list of layers: Sequential(*layers)",
    **dict.fromkeys(("register_parameter", "add_weight"), "assign it: self.name = mg.Parameter(data)"),
    "register_buffer": "assign it: self.name = mg.Buffer(data)",
    **dict.fromkeys(("add_module", "register_module"), "assign it: self.name = layer"),
    **dict.fromkeys(("weights", "variables", "trainable_weights", "trainable_variables"),
                    "use model.parameters(), or model.named_parameters() for names"),
    **dict.fromkeys(("get_weights", "get_config"), "use model.state_dict()"),
    "set_weights": "use model.load_state_dict(state)",
    **dict.fromkeys(("save", "save_weights", "save_pretrained"), "use mg.save(path, model=model)"),
    **dict.fromkeys(("load", "load_weights", "from_pretrained"), "use mg.load(path, model=model)"),
    **dict.fromkeys(("count_params", "num_parameters"), "use sum(p.size for p in model.parameters())"),
    "apply": "go through them: for m in model.modules(): …",
    "named_children": "use named_modules(), which gives dotted names, or children()",
    "trainable": "use model.requires_grad_(False), or True",
    "layers": "use model.modules(), or model.children() for those directly below",
    **dict.fromkeys(("input_shape", "build", "output_shape"), "a layer is told its sizes when it is constructed"),
}  # fmt: skip

GRAPH = {
    **dict.fromkeys(("show", "plot", "draw", "display", "visualize", "render", "write"),
                    'use graph.save("graph.svg") for a picture (png, pdf, dot and html too), or, in a notebook, '
                    "graph.view()"),
}  # fmt: skip

# ---- keywords

KEYWORDS = {  # what is here: what others call it
    "axis": "dim dims axes dimension axis_ dim0 reduction_indices", "axes": "dims axis dim",
    "keepdims": "keepdim keep_dims",
    "shape": "size target_shape newshape", "correction": "ddof unbiased", "arrays": "tensors", "sections": "split_size "
    "split_size_or_sections indices_or_sections chunks num_or_size_splits", "widths": "pad_width padding paddings",
    "min": "a_min clip_value_min min_value", "max": "a_max clip_value_max max_value", "labels": "indices input",
    "classes": "num_classes depth", "decimals": "ndigits", "value": "fill_value constant_values",
    "x": "input tensor a array inputs", "a": "x1 input", "b": "x2 other", "repeats": "reps", "indices": "index",
    "mean": "loc mu", "std": "scale stddev sigma", "low": "minval", "high": "maxval",
    "prediction": "input y_pred logits output", "target": "y_true labels targets", "num": "steps",
    # layers
    "p": "rate prob dropout drop_prob dropout_rate drop_rate", "eps": "epsilon",
    "in_features": "input_dim in_dim in_size", "out_features": "units output_dim out_dim hidden_size",
    "in_channels": "channels_in", "out_channels": "filters channels_out", "kernel_size": "pool_size filter_size kernel",
    "stride": "strides", "dilation": "dilation_rate", "bias": "use_bias",
    "num_features": "features channels num_channels size", "normalized_shape": "features shape",
    "affine": "scale center",
    "elementwise_affine": "affine scale center", "num_groups": "groups",
    # optimisers and training
    "lr": "learning_rate alpha", "betas": "beta_1 beta_2 beta1 beta2 b1 b2", "params": "parameters model",
    "weight_decay": "decay l2 wd", "valid": "validation_data val_data validation eval_data val",
    "train": "x data dataset training_data", "loss": "criterion loss_fn", "optimizer": "opt optim",
    "epochs": "num_epochs n_epochs max_epochs", "batch_size": "bs", "callbacks": "callback",
    "label_smoothing": "smoothing", "reduction": "size_average reduce", "weight": "class_weight class_weights",
    "patience": "wait", "monitor": "metric", "retain_graph": "persistent",
}  # fmt: skip

KEYWORD_INSTEAD = {
    "activation": "a layer does one thing: put the activation after it, Sequential(Linear(3, 2), ReLU())",
    **dict.fromkeys(("input_shape", "batch_input_shape", "input_size"), "a layer is told its sizes by arguments of its "
                    "own, and takes any number of examples"),
    "axis": "the layer works on fixed axes; bring yours there with mg.moveaxis",
    "data_format": "pictures are (n, c, h, w); bring channels there with mg.moveaxis(x, -1, 1)",
    "inplace": "nothing is written in place, so there is nothing to choose",
    **dict.fromkeys(("out", "where", "casting", "order"), "the result is always a new tensor; use mg.where to choose"),
    **dict.fromkeys(("kernel_initializer", "bias_initializer", "initializer"),
                    "assign layer.weight.data = mg.init.xavier_uniform(shape) afterwards"),
    **dict.fromkeys(("kernel_regularizer", "bias_regularizer"), "give the optimiser weight_decay, or add to the loss"),
    "validation_split": "cut the data beforehand: train, valid = mg.data.split(…), then fit(model, train, valid)",
    **dict.fromkeys(("sample_weight", "steps_per_epoch"), "write the loss, or the iterable of batches, that does it"),
    "y": "inputs and targets are one argument: fit(model, (X, y), …)",
    "name": "things go by the attribute to which they are assigned",
    "trainable": "use requires_grad_(False) afterwards",
    "momentum": "only SGD has it; Adam's betas[0] is its momentum",
    "num_workers": "batches are made in this process; arrays need no workers",
    "ceil_mode": "windows lie inside the padded input; pad it first",
    "training": "layers go by model.train() and model.eval()",
    "dtype": "use astype on the result, or on x before",
}  # fmt: skip

DEVICES = {"cuda": "cupy", "gpu": "cupy", "cpu": "numpy", "host": "numpy"}
