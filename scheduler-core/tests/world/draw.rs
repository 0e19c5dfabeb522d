//! Objects drawn from a seed.

use serde_json::{Value, json};

/// A small generator (splitmix64); proptest supplies the seeds.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        among[usize::try_from(self.below(among.len() as u64)).expect("an index")]
    }

    fn selector(&mut self) -> Value {
        match self.below(4) {
            0 => json!({"matchLabels": {"app": self.pick(&["a", "b"])}}),
            1 => {
                json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", self.pick(&["b", "c"])]}]})
            }
            2 => json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
            _ => json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}]}),
        }
    }

    fn topology(&mut self) -> &'static str {
        self.pick(&["zone", "kubernetes.io/hostname", "disk"])
    }

    fn term(&mut self) -> Value {
        let mut term = json!({"labelSelector": self.selector(), "topologyKey": self.topology()});
        match self.below(4) {
            0 => term["namespaces"] = json!(["blue", "green"]),
            1 => term["namespaceSelector"] = json!({"matchLabels": {"team": self.pick(&["x", "y"])}}),
            2 => term["namespaceSelector"] = json!({}),
            _ => {}
        }
        term
    }

    fn terms(&mut self) -> Value {
        let mut terms = json!({});
        if self.one_in(2) {
            terms["requiredDuringSchedulingIgnoredDuringExecution"] = json!([self.term()]);
        }
        if self.one_in(2) {
            let weighted = |draw: &mut Self| json!({"weight": 1 + draw.below(100), "podAffinityTerm": draw.term()});
            terms["preferredDuringSchedulingIgnoredDuringExecution"] = json!([weighted(self), weighted(self)]);
        }
        terms
    }

    fn node_term(&mut self) -> Value {
        let expression = match self.below(4) {
            0 => json!({"key": "zone", "operator": "In", "values": ["z1", "z2"]}),
            1 => json!({"key": "disk", "operator": "Exists"}),
            2 => json!({"key": "rank", "operator": "Gt", "values": [self.below(9).to_string()]}),
            _ => json!({"key": "rank", "operator": "Lt", "values": [self.below(9).to_string()]}),
        };
        json!({"matchExpressions": [expression]})
    }

    fn spread(&mut self) -> Value {
        let mut constraint = json!({
            "maxSkew": 1 + self.below(3),
            "topologyKey": self.topology(),
            "whenUnsatisfiable": self.pick(&["DoNotSchedule", "ScheduleAnyway"]),
            "labelSelector": self.selector(),
        });
        if self.one_in(3) {
            constraint["matchLabelKeys"] = json!(["tier"]);
        }
        if self.one_in(3) {
            constraint["nodeAffinityPolicy"] = json!(self.pick(&["Honor", "Ignore"]));
        }
        if self.one_in(3) {
            constraint["nodeTaintsPolicy"] = json!(self.pick(&["Honor", "Ignore"]));
        }
        if constraint["whenUnsatisfiable"] == "DoNotSchedule" && self.one_in(3) {
            constraint["minDomains"] = json!(1 + self.below(4));
        }
        constraint
    }

    fn container(&mut self, name: &str) -> Value {
        let mut requests = json!({});
        if !self.one_in(4) {
            requests["cpu"] = json!(format!("{}m", 100 * self.below(12)));
        }
        if !self.one_in(4) {
            requests["memory"] = json!(format!("{}Mi", 128 * self.below(12)));
        }
        if self.one_in(6) {
            requests["example.com/gpu"] = json!((1 + self.below(2)).to_string());
        }
        // The image belongs to the shape: it does not depend on what is drawn here.
        let which = name.bytes().map(usize::from).sum::<usize>() % 3;
        let image = ["img/a:1", "img/b", "registry:5000/img/c"][which];
        let mut container = json!({"name": name, "image": image, "resources": {"requests": requests}});
        if self.one_in(6) {
            let mut port = json!({"hostPort": 8000 + self.below(2), "containerPort": 80});
            if self.one_in(2) {
                port["hostIP"] = json!(self.pick(&["0.0.0.0", "10.0.0.1", "10.0.0.2"]));
            }
            container["ports"] = json!([port]);
        }
        container
    }
}

pub(crate) fn labels(seed: u64) -> Value {
    let mut draw = Draw(seed);
    let mut labels = json!({"app": draw.pick(&["a", "b", "c"])});
    if draw.one_in(2) {
        labels["tier"] = json!(draw.pick(&["x", "y"]));
    }
    labels
}

/// One of six nodes, with properties that depend on the seed; what it has of resources depends on its name alone.
pub(crate) fn node(seed: u64) -> Value {
    let mut draw = Draw(seed);
    let number = draw.below(6);
    let mut labels = json!({"kubernetes.io/hostname": format!("n{number}"), "rank": draw.below(10).to_string()});
    if !draw.one_in(5) {
        labels["zone"] = json!(draw.pick(&["z1", "z2", "z3"]));
    }
    if !draw.one_in(3) {
        labels["disk"] = json!(draw.pick(&["ssd", "hdd"]));
    }
    let mut taints = Vec::new();
    if draw.one_in(4) {
        let effect = draw.pick(&["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        taints.push(json!({"key": "dedicated", "value": draw.pick(&["a", "b"]), "effect": effect}));
    }
    if draw.one_in(4) {
        taints.push(json!({"key": "soft", "value": "x", "effect": "PreferNoSchedule"}));
    }
    let images = [("img/a:1", 300), ("img/b:latest", 900), ("registry:5000/img/c:latest", 50)];
    let images = images.into_iter().filter(|_| draw.one_in(2));
    let images: Vec<Value> =
        images.map(|(name, size)| json!({"names": [name], "sizeBytes": size * 1024 * 1024})).collect();
    let mut allocatable = json!({"cpu": (1 + number).to_string(), "memory": format!("{}Gi", 1 + number % 3)});
    allocatable["pods"] = json!((2 + number).to_string());
    if number.is_multiple_of(2) {
        allocatable["example.com/gpu"] = json!("2");
    }
    json!({
        "metadata": {"name": format!("n{number}"), "labels": labels},
        "spec": {"taints": taints, "unschedulable": draw.one_in(10)},
        "status": {"allocatable": allocatable, "images": images},
    })
}

/// A pod with a name and uid of its own; the lower half of the seed decides what it requests, the upper half the rest.
pub(crate) fn pod(seed: u64, number: usize) -> Value {
    let mut draw = Draw(seed & 0xffff_ffff);
    let mut spec = json!({"containers": [draw.container("c0")], "priority": 10 * draw.below(4)});
    if draw.one_in(4) {
        spec["containers"] = json!([draw.container("c0"), draw.container("c1")]);
    }
    if draw.one_in(4) {
        let mut sidecar = draw.container("i0");
        sidecar["restartPolicy"] = json!("Always");
        spec["initContainers"] = json!([sidecar, draw.container("i1")]);
    }
    let mut draw = Draw(seed >> 32);
    if draw.one_in(6) {
        spec["overhead"] = json!({"cpu": "50m", "memory": "64Mi"});
    }
    if draw.one_in(4) {
        let toleration = match draw.below(3) {
            0 => json!({"operator": "Exists"}),
            1 => json!({"key": "dedicated", "value": "a"}),
            _ => json!({"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}),
        };
        spec["tolerations"] = json!([toleration]);
    }
    if draw.one_in(6) {
        spec["nodeSelector"] = json!({"disk": draw.pick(&["ssd", "hdd"])});
    }
    if draw.one_in(10) {
        spec["preemptionPolicy"] = json!("Never");
    }
    if draw.one_in(3) {
        let constraints: Vec<Value> = (0..=draw.below(2)).map(|_| draw.spread()).collect();
        spec["topologySpreadConstraints"] = constraints.into();
    }
    let mut affinity = json!({});
    if draw.one_in(5) {
        let weighted = json!({"weight": 1 + draw.below(100), "preference": draw.node_term()});
        affinity["nodeAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution": [weighted]});
        if draw.one_in(2) {
            affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
                json!({"nodeSelectorTerms": [draw.node_term(), draw.node_term()]});
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        if draw.one_in(4) {
            affinity[kind] = draw.terms();
        }
    }
    spec["affinity"] = affinity;
    let namespace = draw.pick(&["blue", "green"]);
    // No two pods start in the same second: which of two such goes first is nobody's promise.
    let second = number * 7919 % 86_400;
    let start = format!("2025-01-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    let metadata = json!({
        "name": format!("p{number:03}"),
        "namespace": namespace,
        "uid": format!("u{number}"),
        "labels": labels(draw.next()),
    });
    json!({"metadata": metadata, "spec": spec, "status": {"startTime": start}})
}
