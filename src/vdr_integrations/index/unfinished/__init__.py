"""Pages of documents that are not complete yet, kept so that the next run goes on behind them."""
