using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Skep.Resources;

namespace Skep.Engine;

/// <summary>An address that must stay reachable, and why.</summary>
public readonly record struct ProtectedAddress(IPAddress Address, string Why);

/// <summary>Keeps an operator from cutting the branch: block lists may not cover this host or the connection it is managed through.</summary>
public static class Lockout
{
    private const int SshPort = 22;

    /// <summary>The first protected address in <paramref name="prefix"/>, or null.</summary>
    public static ProtectedAddress? Find(IPNetwork prefix, IEnumerable<ProtectedAddress> addresses)
    {
        ArgumentNullException.ThrowIfNull(addresses);
        foreach (var candidate in addresses)
        {
            if (prefix.Contains(candidate.Address))
            {
                return candidate;
            }
        }

        return null;
    }

    /// <summary>Errors for the entries of block lists that would lock the operator out; lists with <c>force</c> are taken at their word.</summary>
    public static ImmutableArray<ResourceProblem> Check(ResourceSet set, IReadOnlyList<ProtectedAddress> addresses)
    {
        ArgumentNullException.ThrowIfNull(set);
        return
        [
            .. from list in set.BlockLists
               where !list.Force
               from entry in list.Entries
               let hit = Find(entry.Prefix, addresses)
               where hit is not null
               select new ResourceProblem(
                   entry.Source.File, entry.Source.Line, entry.Source.Column, "locks-out", $"{entry.Prefix} covers {hit.Value.Address}, {hit.Value.Why}",
                   "take it out, or set spec.force: true when that is meant"),
        ];
    }

    /// <summary>Loopback, the addresses of this host, and the peers of its SSH connections.</summary>
    public static IReadOnlyList<ProtectedAddress> OfThisHost()
    {
        var found = new List<ProtectedAddress> { new(IPAddress.Loopback, "the loopback address"), new(IPAddress.IPv6Loopback, "the loopback address") };
        foreach (var candidate in NetworkInterface.GetAllNetworkInterfaces())
        {
            found.AddRange(candidate.GetIPProperties().UnicastAddresses.Select(
                a => new ProtectedAddress(WithoutScope(a.Address), $"an address of this host ({candidate.Name})")));
        }

        // sudo drops the variable of the session, so the sockets are asked as well.
        if (Environment.GetEnvironmentVariable("SSH_CONNECTION")?.Split(' ') is [var client, ..] && IPAddress.TryParse(client, out var address))
        {
            found.Add(new(WithoutScope(address), "where your SSH session comes from"));
        }

        found.AddRange(IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpConnections()
            .Where(c => c.LocalEndPoint.Port == SshPort && c.State == TcpState.Established)
            .Select(c => new ProtectedAddress(WithoutScope(c.RemoteEndPoint.Address), "the peer of an SSH connection to this host")));
        return found;
    }

    private static IPAddress WithoutScope(IPAddress address) =>
        address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address.IsIPv6LinkLocal ? new IPAddress(address.GetAddressBytes()) : address;
}
