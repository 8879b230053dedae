"""Catheter perception in X-ray fluoroscopy: electrodes, masks, centrelines. ROS-free but for node and conversion."""

__version__ = "0.1.0"
