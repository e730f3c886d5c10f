using Skep.Resources;

namespace Skep.Engine;

/// <summary>Where the edge of an interface runs, and why: the same for <c>doctor</c>, <c>status</c> and the agent.</summary>
/// <param name="Kind"><see cref="HookKind.Xdp"/> or <see cref="HookKind.TcEdge"/>.</param>
/// <param name="Why">A few words for people.</param>
public readonly record struct HookChoice(HookKind Kind, string Why)
{
    /// <summary>The choice for an interface.</summary>
    /// <param name="device">The interface.</param>
    /// <param name="asked">What its resources ask for.</param>
    /// <param name="refusal">Why XDP was refused there before; null when it was not.</param>
    public static HookChoice For(HostInterface device, EdgeHook asked, string? refusal = null) => (asked, device) switch
    {
        (EdgeHook.Tc, _) => new(HookKind.TcEdge, "asked for"),
        (_, { HasEthernetHeader: false }) => new(HookKind.TcEdge, $"{KindOf(device)}: packets without Ethernet header have no XDP"),
        _ when refusal is not null => new(HookKind.TcEdge, $"XDP was refused: {refusal.TrimEnd('.')}"),
        (EdgeHook.Xdp, _) => new(HookKind.Xdp, "asked for"),
        (_, { IsLoopback: true }) => new(HookKind.TcEdge, "loopback: its packets never were on a wire"),
        // A bond's ports are physical, and XDP on the bond reaches them.
        (_, { Kind: "" or "bond" or "team" }) => new(HookKind.Xdp, device.Kind.Length == 0 ? "physical device" : $"{device.Kind} of physical devices"),
        // Measured: bulk TCP falls to a fifth.
        (_, { Kind: "veth" }) => new(HookKind.TcEdge, "veth: native XDP would split its super-packets and cannot mend partial checksums"),
        _ => new(HookKind.TcEdge, $"{device.Kind}: a virtual device without native XDP, or with partial checksums"),
    };

    private static string KindOf(HostInterface device) => device.Kind.Length == 0 ? "no Ethernet" : device.Kind;
}
