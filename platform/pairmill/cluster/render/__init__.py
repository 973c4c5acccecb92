"""From a spec to the files that bring up a cluster for it: KubeRay manifests, or a configuration for `ray up`."""
