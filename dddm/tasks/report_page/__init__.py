"""The page one looks at: what is read for it, its charts and pictures, and its template."""
