"""Is what programs use of a gateway, with a face that is asynchronous (`connect`) and one that blocks (`blocking`)."""
