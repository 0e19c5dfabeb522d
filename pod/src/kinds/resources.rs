//! What a container asks for.

use std::collections::BTreeMap;

use crate::quantity::Quantity;
use crate::wire::table::records;

records! {
    /// Kubernetes `ResourceClaim` of `v1`.
    ResourceClaim {
        name: Option<String> = "name" [1] Always,
        request: Option<String> = "request" [2] OmitZero,
    }
    /// Kubernetes `ResourceRequirements` of `v1`.
    ResourceRequirements {
        claims: Vec<ResourceClaim> = "claims" [3] OmitZero,
        limits: BTreeMap<String, Quantity> = "limits" [1] OmitZero,
        requests: BTreeMap<String, Quantity> = "requests" [2] OmitZero,
    }
    /// Kubernetes `PodResourceClaim` of `v1`.
    PodResourceClaim {
        name: Option<String> = "name" [1] Always,
        resource_claim_name: Option<String> = "resourceClaimName" [3] Pointer,
        resource_claim_template_name: Option<String> = "resourceClaimTemplateName" [4] Pointer,
    }
}
