"""Parts of the text-driven flow head: filters from embeddings, and their evaluation region by region."""
