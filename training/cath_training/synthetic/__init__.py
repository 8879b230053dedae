"""Synthetic X-ray fluoroscopy: 3-D catheters seen by a C-arm, with every label the node can be asked about."""
