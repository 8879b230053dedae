"""What training reads: banks of projected geometry and the batches drawn from them."""
