"""Scoring displacement fields the way Learn2Reg and LUMIR do, and packing submissions for them."""
