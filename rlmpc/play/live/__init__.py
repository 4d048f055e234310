"""Live play: a page in the browser from which robots are driven while a policy moves them."""
