using Skep.Bpf.Maps;

namespace Skep.Balancing.Health;

/// <summary>What programs need to know of checks that go through a tunnel.</summary>
internal sealed class CheckMaps
{
    /// <summary>Checks come from ports from this one on, so that packets to other ports need not be looked up.</summary>
    internal const ushort FirstPort = 65024;

    /// <summary>Checks that are under way, by what their packets say, and the way to their backend.</summary>
    internal HashMap<ConnectionKey, Tunnel> Checks { get; } = new(2048, "check_ways");
}
