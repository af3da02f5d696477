"""Where an API server serves each kind."""

import pytest

from controlplane.resources.kinds import ALBCONFIGS, INGRESSES, MSE_INGRESS_CONFIGS, SECRETS, Kind


@pytest.mark.parametrize(
    ("kind", "api_version", "path", "object_path"),
    [
        (
            INGRESSES,
            "networking.k8s.io/v1",
            "/apis/networking.k8s.io/v1/ingresses",
            "/apis/networking.k8s.io/v1/namespaces/n/ingresses/x",
        ),
        (SECRETS, "v1", "/api/v1/secrets", "/api/v1/namespaces/n/secrets/x"),
        (
            ALBCONFIGS,
            "alibabacloud.com/v1",
            "/apis/alibabacloud.com/v1/albconfigs",
            "/apis/alibabacloud.com/v1/albconfigs/x",
        ),
        (
            MSE_INGRESS_CONFIGS,
            "mse.alibabacloud.com/v1alpha1",
            "/apis/mse.alibabacloud.com/v1alpha1/mseingressconfigs",
            "/apis/mse.alibabacloud.com/v1alpha1/mseingressconfigs/x",
        ),
    ],
)
def test_paths_of_a_kind(kind: Kind[object], api_version: str, path: str, object_path: str) -> None:
    assert (kind.api_version, kind.path, kind.object_path("n", "x")) == (api_version, path, object_path)
