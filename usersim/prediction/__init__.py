"""Predicting closed answers: evidence, the panel, and the pool of predictors.

A *predictor* is one source of a distribution over a question's options: the simulator with its
reasoning, the simulator without it, the panel model, the panel's marginal, the person's own use of
the scale. The *pool* combines them. Knows distributions and answers; knows no model that reads
text, and no store.
"""
