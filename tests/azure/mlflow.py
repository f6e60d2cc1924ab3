"""x"""
class MLflow:
    def __init__(self, arm): self.arm = arm
    def __call__(self, request, fault):
        from .wire import AzureError
        self.arm.unmodelled.append(str(request))
        raise AzureError(501, "NotModelled", str(request))
