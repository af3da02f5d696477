"""Pages of FG01: objects, files and classes."""

from typing import Final

from controlplane.translate.guide.page import Page

PAGES: Final[dict[str, Page]] = {
    "FG0100": Page(
        "A field of the object has a type that it cannot have in Kubernetes, so the gateway cannot read the"
        " object. An earlier version of the object stays live.",
        "spec: {rules: [{host: 7}]}",
        "Give the field the type of the API and apply the object again.",
    ),
    "FG0101": Page(
        "The Ingress names an IngressClass that the Fleet does not have, and no MseIngressConfig takes a"
        " class of this name.",
        "spec: {ingressClassName: abl}",
        "Correct the name, or create the IngressClass with one of the controllers of this gateway.",
    ),
    "FG0102": Page(
        "The IngressClass has a controller of this gateway, but its parameters do not name a gateway.",
        "spec: {controller: ingress.k8s.alibabacloud/alb}",
        "Add spec.parameters with apiGroup, kind and name of an AlbConfig or MseIngressConfig.",
    ),
    "FG0103": Page(
        "The IngressClass or the annotation albconfig.name leads to an AlbConfig that does not exist.",
        "spec: {controller: ingress.k8s.alibabacloud/alb, parameters: {apiGroup: alibabacloud.com,"
        " kind: AlbConfig, name: missing}}",
        "Create the AlbConfig, or correct the name that leads to it.",
    ),
    "FG0104": Page(
        "The MseIngressConfig watches one namespace, and the Ingress is in another namespace.",
        "spec: {ingress: {local: {ingressClass: mse, watchNamespace: shop}}}",
        "Move the Ingress to that namespace, or clear watchNamespace.",
    ),
    "FG0105": Page(
        "The IngressClass leads to an MseIngressConfig that the Fleet does not have.",
        "spec: {controller: mse.alibabacloud.com/ingress, parameters: {apiGroup: mse.alibabacloud.com,"
        " kind: MseIngressConfig, name: missing}}",
        "Create the MseIngressConfig, or correct the name in the IngressClass.",
    ),
    "FG0106": Page(
        "Two MseIngressConfigs take the same class. The older one serves its Ingresses.",
        "spec: {ingress: {local: {ingressClass: mse}}} in two MseIngressConfigs",
        "Give each MseIngressConfig a class or a namespace of its own.",
    ),
    "FG0107": Page(
        "The MseIngressConfig has no spec.ingress.local.ingressClass, which means no class in MSE, and no"
        " IngressClass refers to it.",
        "spec: {name: mse-ingress}",
        'Name the class of the Ingresses; "" takes all of them.',
    ),
    "FG0110": Page(
        "The file is neither YAML nor JSON, or its characters are not UTF-8.",
        "metadata: {name: web",
        "Correct the syntax at the line and column that the finding names.",
    ),
    "FG0111": Page(
        "A document of the file lacks apiVersion, kind or metadata.name, so it is no Kubernetes object.",
        "kind: Ingress",
        "Add the missing part, or keep the file out of the directory of manifests.",
    ),
    "FG0112": Page(
        "A mapping has the same key twice. Kubernetes reads the last value and ignores the first.",
        "annotations: {a: '1', a: '2'}",
        "Decide which value is meant, and delete the other.",
    ),
    "FG0113": Page(
        "Two files have the same object. The gateway would see the object that is applied last.",
        "an Ingress default/web in a.yaml and in b.yaml",
        "Decide which object is meant, and delete the other.",
    ),
    "FG0114": Page(
        "An annotation or label is a number or true or false. Kubernetes refuses the whole object.",
        "alb.ingress.kubernetes.io/order: 5",
        "Put the value into quotes.",
    ),
    "FG0115": Page(
        "The gateway reads this kind, but not in this API version.",
        "apiVersion: extensions/v1beta1",
        "Write the version that the finding allows; fields may have other names there.",
    ),
    "FG0116": Page(
        "The files have neither the IngressClass of the Ingress nor a gateway, and its annotations are of no"
        " dialect or of both. A guess might ignore an annotation that protects the Ingress.",
        "spec: {ingressClassName: web} and no annotation",
        "Name the dialect with --dialect, or give the files of the gateway and its IngressClass, too.",
    ),
    "FG0117": Page(
        "No gateway serves the Ingress: its class is missing, unknown, or another controller's.",
        "metadata: {annotations: {kubernetes.io/ingress.class: nginx}} beside an AlbConfig",
        "Write a class that a gateway takes. With --dialect the Ingress is checked as if a gateway took it.",
    ),
}
