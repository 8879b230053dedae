"""Offline side of cath_perception: synthetic fluoroscopy, training, evaluation and export of the model."""
