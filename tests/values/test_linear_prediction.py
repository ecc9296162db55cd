"""Linear prediction in integers, against the conditional means of a Gaussian in floating point."""

import numpy as np
import pytest

from mulligan.values.linear_prediction import FIRST_ROWS, SHRINKAGE_ROWS, LinearPrediction

COLUMNS = 32


def rows_of_directions(num_rows, seed):
    """Return rows in quarters of a code: three directions and noise."""
    basis = np.random.default_rng(99).normal(0, 1, (3, COLUMNS))
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 4, (num_rows, 3)) @ basis + rng.normal(0, 1, (num_rows, COLUMNS))
    return np.rint(4 * values).astype(np.int64)


def conditional_means(learned, rows, columns):
    """Return the mean of some columns given those before, under the shrunk covariance of rows scaled to one size."""
    scaled = learned / np.sqrt((learned.astype(float) ** 2).mean(axis=1, keepdims=True))
    covariance = scaled.T @ scaled
    covariance += np.diag(covariance.diagonal()) * SHRINKAGE_ROWS / len(learned)
    before = slice(0, columns.start)
    return rows[:, before] @ np.linalg.solve(covariance[before, before], covariance[before, columns])


def test_nothing_is_predicted_before_there_are_rows_enough():
    linear = LinearPrediction(COLUMNS)
    linear.learn(rows_of_directions(FIRST_ROWS - 1, 0))
    assert linear.chunks == [slice(0, COLUMNS)]
    linear.learn(rows_of_directions(1, 1))
    assert len(linear.chunks) == COLUMNS // 4


def test_predictions_are_the_conditional_means_of_the_columns():
    learned, rows = rows_of_directions(2000, 0), rows_of_directions(50, 1)
    linear = LinearPrediction(COLUMNS)
    linear.learn(learned)
    news = np.zeros_like(rows)
    for columns in linear.chunks:
        predicted = linear.prediction(news, columns)
        if columns.start:
            expected = conditional_means(learned, rows, columns)
            assert np.abs(predicted - expected).max() < 0.05 * np.abs(rows).max()
            assert np.corrcoef(predicted.ravel(), expected.ravel())[0, 1] > 0.995
        news[:, columns] = linear.news(rows[:, columns] - predicted, columns)


def test_what_is_left_is_about_the_noise():
    linear = LinearPrediction(COLUMNS)
    linear.learn(rows_of_directions(2000, 0))
    rows = rows_of_directions(500, 1)
    left = linear.surprise(rows)[:, COLUMNS // 2 :]
    assert left.std() < 0.35 * rows.std()


@pytest.mark.parametrize("rows", [np.zeros((80, 8)), np.full((80, 8), 512), np.eye(8)[np.zeros(80, int)] * 512])
def test_degenerate_rows_are_learned_and_predicted(rows):
    linear = LinearPrediction(8)
    linear.learn(rows.astype(np.int64))
    news = np.full((3, 8), 1 << 12, dtype=np.int64)
    for columns in linear.chunks:
        assert np.abs(linear.prediction(news, columns)).max() < 1 << 20
        assert np.abs(linear.news(news[:, columns] * 9, columns)).max() <= 1 << 12
