using System.Globalization;
using System.Net;
using Skep.Resources;

namespace Skep.Engine;

/// <summary>What of this host's settings keeps source translation from working, told before somebody has to find out.</summary>
public static class TranslationCheck
{
    /// <summary>Problems of the resources that ask for it, as warnings.</summary>
    /// <param name="set">What is asked for.</param>
    /// <param name="own">Addresses of this host.</param>
    /// <param name="read">Reads a network setting, for example <c>ipv4/ip_local_port_range</c>; null when there is none.</param>
    public static IEnumerable<ResourceProblem> Run(ResourceSet set, IReadOnlySet<IPAddress> own, Func<string, string?> read)
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(own);
        ArgumentNullException.ThrowIfNull(read);
        var range = (read("ipv4/ip_local_port_range") ?? "").Split((char[])['\t', ' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        foreach (var balancer in set.LoadBalancers.Where(b => b.SourceTranslation is not null))
        {
            var translation = balancer.SourceTranslation!;
            if (range is [var first, var last] && int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var lowest)
                && int.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out var highest)
                && translation.FirstPort <= highest && lowest <= translation.LastPort)
            {
                yield return Warning(
                    "shared-ports", $"ports {translation.FirstPort} to {translation.LastPort} of sourceTranslation overlap with those that Linux takes for connections of its own, {lowest} to {highest}",
                    "answers of a backend to this host itself may go to a client: choose others, or change net.ipv4.ip_local_port_range");
            }

            // A packet that comes in with one of the host's own addresses as its sender is dropped by IPv4's forwarding (fib_validate_source).
            var isLocal = !balancer.BypassStack && translation.Addresses.Any(a => a.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork && own.Contains(a));
            foreach (var name in balancer.Interfaces.Where(name => isLocal && !IsSet("all") && !IsSet(name) && read($"ipv4/conf/{name}/accept_local") is not null))
            {
                yield return Warning(
                    "needs-accept-local", $"packets that leave with an own address are dropped by this host's forwarding when they come in by '{name}'",
                    $"sysctl net.ipv4.conf.{name}.accept_local=1, or bypassStack: true where the hook is traffic control");
            }

            ResourceProblem Warning(string id, string message, string advice) =>
                new(translation.Source.File, translation.Source.Line, translation.Source.Column, id, message, advice, ProblemSeverity.Warning);
        }

        bool IsSet(string name) => read($"ipv4/conf/{name}/accept_local")?.Trim() == "1";
    }
}
