using System.Net;
using System.Net.Sockets;
using Skep.Balancing;

namespace Skep.Resources.Reading;

/// <summary>What has to fit together when clients' addresses are replaced.</summary>
internal static class Translation
{
    public static void Check(LoadBalancer balancer, ProblemList problems)
    {
        if (balancer.SourceTranslation is not { } translation)
        {
            return;
        }

        if (balancer.Forwarding != ForwardingMode.Nat)
        {
            problems.Error(
                translation.Source, "needs-rewriting", $"with direct return '{balancer.Name}' leaves packets as they are, and backends answer clients themselves",
                "leave sourceTranslation out, or write 'forwarding: nat'");
        }

        if (translation.FirstPort > translation.LastPort)
        {
            problems.Error(translation.Source, "bad-range", $"firstPort {translation.FirstPort} lies above lastPort {translation.LastPort}", "exchange them");
        }

        foreach (var family in balancer.Addresses.Select(a => a.AddressFamily).Distinct())
        {
            var own = translation.Addresses.Where(a => a.AddressFamily == family).ToArray();
            var name = family == AddressFamily.InterNetwork ? "IPv4" : "IPv6";
            if (own.Length == 0)
            {
                problems.Error(
                    translation.Source, "family-mismatch", $"'{balancer.Name}' has {name} virtual addresses, but no {name} address that backends could see instead of clients'",
                    $"add an {name} address of this host");
            }
            else if (own.Length > SourcePool.MostAddresses)
            {
                problems.Error(translation.Source, "wrong-count", $"sourceTranslation has {own.Length} {name} addresses", $"it takes {SourcePool.MostAddresses} at most");
            }
        }

        foreach (var address in translation.Addresses)
        {
            if (IPAddress.IsLoopback(address) || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) || balancer.Backends.Any(b => b.Address.Equals(address)))
            {
                problems.Error(
                    translation.Source, "bad-address", $"backends cannot answer to {address}: it is {(balancer.Backends.Any(b => b.Address.Equals(address)) ? "a backend itself" : "no address of the network")}",
                    "name an address of this host that the backends have a route to");
            }
        }
    }
}
