"""Guards plug in here by registry. The order of a call's steps does not: no setting can drop a step.

An input guard sees the parsed call and its route and raises a Refusal, or lets it pass.
"""
