"""archsearch: an evolutionary search for recurrent cells."""
