# Spine CT/MR, first stage with global mutual information (23 bins) instead of MIND.
_base_ = ['spine_mind.py']

model = dict(
    losses=dict(
        similarity=dict(_delete_=True, type='MutualInformation', direction='both', weight=2.0),
    ),
)
