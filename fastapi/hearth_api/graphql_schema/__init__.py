"""GraphQL: what REST offers, with records typed by their contracts. `/graphql` answers queries, subscriptions and a browser."""
