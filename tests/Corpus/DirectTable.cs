using System.Globalization;
using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Corpus;

/// <summary>A packet for the edge with direct return, and what must become of it.</summary>
public sealed record DirectCase(string Name, byte[] Frame, XdpAction Action, EdgeVerdict Verdict, byte[] Output);

/// <summary>A table such as <c>Direct.txt</c>: services, ways to backends, and packets in the order in which they are to be run.</summary>
public sealed class DirectTable
{
    private readonly string[] _lines;
    private readonly Dictionary<(string Service, IpAddress Backend), int> _former = [];

    private DirectTable(string name, DirectOptions direct)
    {
        _lines = ReadLines(name);
        Options = s_options with { Direct = direct, Measure = direct.Measure };
        Services = [.. Rows("service").Select(ServiceOf)];
        Hops = Rows("hop").ToDictionary(r => IpAddress.Parse(r[1]), r => new BackendPath(
            IpAddress.Parse(r[2]), Number(r[3]), Number(r[4]), MacAddress.Parse("02:00:00:00:00:01"), MacAddress.Parse("02:00:00:00:00:bb"), (ushort)Number(r[5])));
        Cases = [.. ReadCases()];
    }

    private static readonly EdgeOptions s_options = new()
    {
        RingSize = 251,
        MaxServices = 64,
        MaxBackends = 64,
        MaxConnections = 64,
        // Enough that flows meet in a set, but do not fill one: who stays then goes by the clock, and each engine has its own.
        MaxFlows = 8192,
        MaxBlockedAddresses = 16,
        MaxBlockedPrefixes = 16,
        MaxSources = 64,
        BlockAddresses = false,
        BlockPrefixes = false,
        Balance = false,
        Measure = false,
    };

    /// <summary>What every service may have.</summary>
    public static DirectTable Base { get; } = new("Direct", new DirectOptions { Seed = 0x5DEECE66D1CE4E5B });

    /// <summary>What a service may ask for besides.</summary>
    public static DirectTable Extras { get; } = new("DirectExtras", new DirectOptions { Seed = 0x5DEECE66D1CE4E5B, Measure = true, Sample = true, Features = Enum.GetValues<VipFlags>().Aggregate((all, f) => all | f) });

    /// <summary>Both, by name.</summary>
    public static IReadOnlyDictionary<string, DirectTable> All { get; } = new Dictionary<string, DirectTable> { ["base"] = Base, ["extras"] = Extras };

    /// <summary>Options under which the table holds.</summary>
    public EdgeOptions Options { get; }

    /// <summary>Services of the table.</summary>
    public IReadOnlyList<ServiceModel> Services { get; }

    /// <summary>Ways to the backends of the table.</summary>
    public IReadOnlyDictionary<IpAddress, BackendPath> Hops { get; }

    /// <summary>The packets.</summary>
    public IReadOnlyList<DirectCase> Cases { get; }

    /// <summary>Puts the services into the maps; the only problem is a backend without a way.</summary>
    public IReadOnlyList<BalancerProblem> Prepare(EdgeState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        state.Balancer.SetNextHops(Hops);
        state.Balancer.Apply([.. Services.Select(s => s with { Backends = [.. s.Backends.Select(b => b with { Weight = _former.GetValueOrDefault((s.Name, b.Address), b.Weight) })] })]);
        return state.Balancer.Apply(Services);
    }

    /// <summary>Options of a program: "general", "code" with all endpoints in it, "hot" with some of them in it and the table behind, "table" without any.</summary>
    public EdgeOptions OptionsOf(EdgeState state, string shape)
    {
        ArgumentNullException.ThrowIfNull(state);
        uint[] hot = shape == "hot" ? [.. state.Balancer.Services.Select(s => s.Id).Where(id => id % 3 != 0).OrderDescending()] : [];
        return shape == "general" ? Options : Options with
        {
            Direct = DirectPlan.For(state.Balancer.Services, Hops.Values, Options.Direct!.Seed, hot, shape == "code" ? int.MaxValue : 6),
        };
    }

    private ServiceModel ServiceOf(string[] row)
    {
        var ports = row[3].Split('-');
        var port = ushort.Parse(ports[0], CultureInfo.InvariantCulture);
        var service = new ServiceModel(
            row[1], IpAddress.Parse(row[2]), port, row[4] == "tcp" ? IpProtocol.Tcp : IpProtocol.Udp, [.. row[6].Split(',').Select(b => BackendOf(row[1], b, port))])
        {
            Forwarding = Enum.Parse<ForwardingMode>(row[5], ignoreCase: true),
            LastPort = ports.Length > 1 ? ushort.Parse(ports[1], CultureInfo.InvariantCulture) : null,
        };
        return row.Skip(7).Aggregate(service, (s, extra) => extra.Split('=') switch
        {
            ["untracked"] => s with { Tracking = false },
            ["client", var bits] => s with { ClientPrefix = Number(bits) },
            ["sources", var prefix] => s with { SourceRanges = [IpPrefix.Parse(prefix)] },
            ["quic", var configs] => s with { QuicConfigs = (byte)configs.Split(',').Sum(c => 1 << Number(c)) },
            ["second"] => s with { SecondChance = true },
            _ => throw new InvalidOperationException($"'{extra}' is nothing a service of the table has."),
        });
    }

    // ADDRESS[=QUIC SERVER ID][*WEIGHT[>WEIGHT AFTER A CHANGE]]
    private BackendModel BackendOf(string service, string text, ushort port)
    {
        var parts = text.Split('*');
        var (name, id) = parts[0].Split('=') is [var before, var behind] ? (before, behind) : (parts[0], null);
        var address = IpAddress.Parse(name);
        var weights = parts.Length > 1 ? parts[1].Split('>') : ["1"];
        if (weights.Length > 1)
        {
            _former[(service, address)] = Number(weights[0]);
        }

        return new BackendModel(address, port, Number(weights[^1]))
        {
            QuicServerId = id is null ? null : QuicServerId.TryParse(id, out var parsed) ? parsed : throw new FormatException(id),
        };
    }

    private IEnumerable<DirectCase> ReadCases()
    {
        string? name = null;
        string[] expected = [];
        List<byte> input = [], output = [], current = input;
        foreach (var line in _lines.Append("case"))
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

    private IEnumerable<string[]> Rows(string kind) => _lines
        .Where(l => l.StartsWith(kind + ' ', StringComparison.Ordinal)).Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static string[] ReadLines(string name)
    {
        using var stream = typeof(DirectTable).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"{name}.txt is not part of the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n');
    }
}
