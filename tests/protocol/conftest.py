from hypothesis import settings

# a machine that is busy with other tests is no defect of the codec
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
