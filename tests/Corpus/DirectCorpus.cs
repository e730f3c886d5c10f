using System.Globalization;
using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Corpus;

/// <summary>A packet for the edge with direct return, and what must become of it.</summary>
public sealed record DirectCase(string Name, byte[] Frame, XdpAction Action, EdgeVerdict Verdict, byte[] Output);

/// <summary>The table <c>Direct.txt</c>: services, ways to backends, and packets in the order in which they are to be run.</summary>
public static class DirectCorpus
{
    private static readonly string[] s_lines = ReadLines();

    /// <summary>Options under which the table holds.</summary>
    public static EdgeOptions Options { get; } = new()
    {
        RingSize = 251,
        MaxServices = 64,
        MaxBackends = 64,
        MaxConnections = 64,
        MaxFlows = 1024,
        MaxBlockedAddresses = 16,
        MaxBlockedPrefixes = 16,
        MaxSources = 64,
        BlockAddresses = false,
        BlockPrefixes = false,
        Balance = false,
        Measure = false,
        Direct = new DirectOptions { Seed = 0x5DEECE66D1CE4E5B },
    };

    /// <summary>Services of the table.</summary>
    public static IReadOnlyList<ServiceModel> Services { get; } = [.. Rows("service").Select(ServiceOf)];

    /// <summary>Ways to the backends of the table.</summary>
    public static IReadOnlyDictionary<IpAddress, BackendPath> Hops { get; } = Rows("hop").ToDictionary(r => IpAddress.Parse(r[1]), r => new BackendPath(
        IpAddress.Parse(r[2]), Number(r[3]), Number(r[4]), MacAddress.Parse("02:00:00:00:00:01"), MacAddress.Parse("02:00:00:00:00:bb"), (ushort)Number(r[5])));

    /// <summary>The packets.</summary>
    public static IReadOnlyList<DirectCase> Cases { get; } = [.. ReadCases()];

    /// <summary>Puts the services into the maps; the only problem is the backend without a way.</summary>
    public static IReadOnlyList<BalancerProblem> Prepare(EdgeState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.Balancer.SetNextHops(Hops);
        return state.Balancer.Apply(Services);
    }

    /// <summary>The services as code, for the specialised program.</summary>
    public static EdgeOptions Specialised(EdgeState state, int most = int.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(state);
        return Options with { Direct = DirectPlan.For(state.Balancer.Services, Hops.Values, Options.Direct!.Seed, most) };
    }

    private static ServiceModel ServiceOf(string[] row)
    {
        var ports = row[3].Split('-');
        var extra = row.Length > 7 ? row[7] : "";
        return new ServiceModel(
            row[1], IpAddress.Parse(row[2]), ushort.Parse(ports[0], CultureInfo.InvariantCulture), row[4] == "tcp" ? IpProtocol.Tcp : IpProtocol.Udp,
            [new BackendModel(IpAddress.Parse(row[6]), ushort.Parse(ports[0], CultureInfo.InvariantCulture))])
        {
            Forwarding = Enum.Parse<ForwardingMode>(row[5], ignoreCase: true),
            LastPort = ports.Length > 1 ? ushort.Parse(ports[1], CultureInfo.InvariantCulture) : null,
            Tracking = extra != "untracked",
            ClientPrefix = extra.Split('=') is ["client", var bits] ? Number(bits) : null,
            SourceRanges = extra.Split('=') is ["sources", var prefix] ? [IpPrefix.Parse(prefix)] : [],
        };
    }

    private static IEnumerable<DirectCase> ReadCases()
    {
        string? name = null;
        string[] expected = [];
        List<byte> input = [], output = [], current = input;
        foreach (var line in s_lines.Append("case"))
        {
            if (line == "case" || line.StartsWith("case ", StringComparison.Ordinal))
            {
                if (name is not null)
                {
                    yield return new(name, [.. input], Enum.Parse<XdpAction>(expected[1]), Enum.Parse<EdgeVerdict>(expected[2]), [.. output]);
                }

                name = line["case".Length..].Trim();
                (input, output) = ([], []);
            }
            else if (line == "in")
            {
                current = input;
            }
            else if (line.StartsWith("out ", StringComparison.Ordinal))
            {
                expected = line.Split(' ');
                current = output;
            }
            else if (line.StartsWith("  ", StringComparison.Ordinal))
            {
                current.AddRange(Convert.FromHexString(line[11..].Replace(" ", "", StringComparison.Ordinal)));
            }
        }
    }

    private static IEnumerable<string[]> Rows(string kind) => s_lines
        .Where(l => l.StartsWith(kind + ' ', StringComparison.Ordinal)).Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static string[] ReadLines()
    {
        using var stream = typeof(DirectCorpus).Assembly.GetManifestResourceStream("Direct")
            ?? throw new InvalidOperationException("Direct.txt is not part of the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n');
    }
}
