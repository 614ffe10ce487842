"""How good the predictions are, how sure that is, what decides, and what spoils it unseen."""
