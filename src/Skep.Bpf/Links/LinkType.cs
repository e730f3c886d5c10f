namespace Skep.Bpf.Links;

/// <summary>Types of links (<c>enum bpf_link_type</c>).</summary>
public enum LinkType : uint
{
#pragma warning disable CS1591 // names of enum bpf_link_type
    Unspec = 0, RawTracepoint = 1, Tracing = 2, Cgroup = 3, Iter = 4, Netns = 5, Xdp = 6, PerfEvent = 7, KprobeMulti = 8,
    StructOps = 9, Netfilter = 10, Tcx = 11, UprobeMulti = 12, Netkit = 13, Sockmap = 14,
#pragma warning restore CS1591
}
