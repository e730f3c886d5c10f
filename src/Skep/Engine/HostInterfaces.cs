using Skep.Bpf.Links;

namespace Skep.Engine;

/// <summary>An interface of this host.</summary>
/// <param name="Index">Its number; never used again by another one.</param>
/// <param name="Name">Its name.</param>
/// <param name="IsLoopback">Whether it carries the host's own traffic only.</param>
/// <param name="Kind">Kind of a virtual device, for example <c>veth</c>; empty for a physical one.</param>
/// <param name="HasEthernetHeader">Whether its packets begin with an Ethernet header.</param>
/// <param name="Mtu">Longest packet in bytes; 0 when it does not matter.</param>
/// <param name="LeadsElsewhere">Whether its other end is in another network namespace.</param>
public readonly record struct HostInterface(
    int Index, string Name, bool IsLoopback, string Kind = "", bool HasEthernetHeader = true, int Mtu = 0, bool LeadsElsewhere = false)
{
    /// <summary>Whether packets can be handed to its other end without passing it: a virtual Ethernet pair that leads to another namespace.</summary>
    public bool HasReachablePeer => LeadsElsewhere && Kind == "veth";
}

/// <summary>The interfaces of the network namespace the process is in.</summary>
public static class HostInterfaces
{
    /// <summary>All interfaces there are now, ordered by index.</summary>
    /// <remarks>Not from <c>/sys/class/net</c>: that shows the namespace of its mount, not that of the process.</remarks>
    public static IReadOnlyList<HostInterface> List() =>
        [.. NetworkDevice.List().Select(d => new HostInterface(d.Index, d.Name, d.IsLoopback, d.Kind, d.HasEthernetHeader, d.Mtu, d.LeadsElsewhere))];
}
