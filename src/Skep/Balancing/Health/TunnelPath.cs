using System.Net;
using Skep.Packets;

namespace Skep.Balancing.Health;

/// <summary>A backend as clients reach it: in outer headers, by a virtual address.</summary>
/// <param name="Backend">The backend.</param>
/// <param name="Mode">How packets travel.</param>
/// <param name="Vip">The virtual address.</param>
public sealed record TunnelPath(IpAddress Backend, ForwardingMode Mode, IpAddress Vip)
{
    /// <summary>As people call it: <c>ipip</c>.</summary>
    public string Name => Mode.ToString().ToLowerInvariant();
}

/// <summary>What is checked.</summary>
/// <param name="Backend">Address and port of the backend itself.</param>
/// <param name="Path">How clients reach it, when the check is to go that way; null for its own address.</param>
public readonly record struct CheckTarget(IPEndPoint Backend, TunnelPath? Path = null);
