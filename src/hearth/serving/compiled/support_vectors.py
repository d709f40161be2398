"""Support vector machines for many records at once: libsvm's decision values as two matrix products and one exponential."""

import numpy as np
from sklearn.svm import SVC
from sklearn.utils.multiclass import _ovr_decision_function

from hearth.serving.compiled.scaling import CannotCompile

_RECORDS = 32  # at a time; with 5,000 support vectors 1.3 MB of kernel values, which stay in the processor's cache
_BINARY = 2


class CompiledMachine:
    """The decision values of a fitted `SVC` with an RBF or a linear kernel; raises CannotCompile for others."""

    def __init__(self, model: SVC) -> None:
        if type(model) is not SVC or model.kernel not in {"rbf", "linear"} or model._sparse:  # noqa: SLF001 - it has no public name
            raise CannotCompile(f"{model} has no compiled form")
        vectors = np.asarray(model.support_vectors_, dtype=np.float64)
        self._classes = len(model.classes_)
        if self._classes > _BINARY and model.decision_function_shape != "ovr":
            raise CannotCompile(f"{model} has no compiled form")
        weights = _pair_weights(np.asarray(model._dual_coef_), np.asarray(model.n_support_))  # as libsvm has them
        self._intercepts = np.asarray(model._intercept_, dtype=np.float64)
        self._centre = vectors.mean(axis=0)  # distances do not change, and their rounding becomes smaller
        self._is_linear = model.kernel == "linear"
        if self._is_linear:
            self._weights = vectors.T @ weights
            return
        self._weights = weights
        self._gamma = float(model._gamma)  # noqa: SLF001 - `gamma` may be "scale"
        centred = vectors - self._centre
        self._vectors = np.ascontiguousarray(2 * self._gamma * centred.T)
        self._squares = self._gamma * np.einsum("ij,ij->i", centred, centred)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the decision values of scaled features (n, p): (n, classes), or (n, 1) of the second of two classes."""
        values = (np.asarray(X, dtype=np.float64) @ self._weights if self._is_linear else self._radial(X)) + self._intercepts
        if self._classes == _BINARY:
            return -values  # libsvm's first class is scikit-learn's second
        return np.asarray(_ovr_decision_function(values < 0, -values, self._classes))

    def _radial(self, X: np.ndarray) -> np.ndarray:
        """Return the weighted sums of exp(-gamma |x - v|²) over the support vectors v, shape (n, pairs of classes)."""
        centred = X - self._centre
        squares = self._gamma * np.einsum("ij,ij->i", centred, centred)
        out = np.empty((len(X), self._weights.shape[1]))
        block = np.empty((min(_RECORDS, len(X)), len(self._weights)))
        for start in range(0, len(X), _RECORDS):
            part = centred[start : start + _RECORDS]
            kernel = np.matmul(part, self._vectors, out=block[: len(part)])
            kernel -= self._squares
            kernel -= squares[start : start + _RECORDS, np.newaxis]
            np.minimum(kernel, 0.0, out=kernel)  # rounding can make a distance of 0 negative
            np.exp(kernel, out=kernel)
            np.matmul(kernel, self._weights, out=out[start : start + _RECORDS])
        return out


def _pair_weights(coefficients: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return the weight of each support vector for each pair of classes, shape (vectors, pairs); 0 where its class is not of the pair.

    libsvm keeps them by class: a vector of class i has its weight against class j in row j - 1 if i < j, else in row j.
    """
    classes = len(support)
    ends = np.cumsum(support)
    vectors = [slice(end - count, end) for end, count in zip(ends, support, strict=True)]
    pairs = [(first, second) for first in range(classes) for second in range(first + 1, classes)]
    weights = np.zeros((int(ends[-1]), len(pairs)))
    for place, (first, second) in enumerate(pairs):
        weights[vectors[first], place] = coefficients[second - 1, vectors[first]]
        weights[vectors[second], place] = coefficients[first, vectors[second]]
    return weights
