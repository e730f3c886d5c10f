using Skep.Edge;
using Skep.Engine;
using Skep.Filtering;
using Skep.Flows;

namespace Skep.Agent;

/// <summary>
/// Brings a plan into the maps and programs of the edge. The maps are made when something is to be enforced for the first time:
/// observing costs none of their memory. Not for concurrent use.
/// </summary>
internal sealed class EdgeControl(IDatapath datapath, TimeProvider clock, TimeProvider wall)
{
    private static readonly TimeSpan s_sweep = TimeSpan.FromSeconds(10);

    private readonly Dictionary<EdgeOptions, EdgeProgram> _programs = [];
    private long _ticked = clock.GetTimestamp();
    private long _swept = clock.GetTimestamp();
    private EdgeMaps? _maps;

    /// <summary>Sizes of the tables.</summary>
    public static EdgeOptions Sizes { get; } = new();

    /// <summary>User half of the edge; null as long as nothing was ever enforced.</summary>
    public EdgeState? State { get; private set; }

    /// <summary>The plan in force.</summary>
    public EdgePlan Plan { get; private set; } = EdgePlan.Empty;

    /// <summary>Puts a plan into the maps and prepares the programs; returns what could not be done.</summary>
    public IReadOnlyList<string> Apply(EdgePlan plan)
    {
        if (State is null && plan.Interfaces.IsEmpty)
        {
            Plan = plan;
            return [];
        }

        Open();
        var now = wall.GetUtcNow();
        var blocks = plan.Blocks.Values.Where(b => b.Until is null || b.Until > now).Select(b => new BlockRequest(b.Prefix, b.Until - now)).ToArray();
        List<string> problems =
        [
            .. State!.Balancer.Apply(plan.Services).Select(p => p.Message),
            .. State.BlockList.Apply(blocks).Select(p => p.Message),
        ];
        Plan = plan;
        foreach (var options in _programs.Keys.Except(plan.Interfaces.Values).ToArray())
        {
            datapath.Forget(_programs[options]);
            _programs.Remove(options);
        }

        return problems;
    }

    /// <summary>The program an interface needs, or null.</summary>
    public EdgeProgram? ProgramFor(string interfaceName)
    {
        if (!Plan.Interfaces.TryGetValue(interfaceName, out var options))
        {
            return null;
        }

        // Interfaces with the same needs run the same program.
        if (!_programs.TryGetValue(options, out var program))
        {
            program = new EdgeProgram(_maps!, options);
            _programs.Add(options, program);
        }

        return program;
    }

    /// <summary>What the balancer did to a packet that an observing hook saw after it. Safe at any time: it only reads a map.</summary>
    public FlowTranslation? TranslationOf(FlowPacket packet) =>
        State?.Connections.FindRewritten(packet.Source, packet.SourcePort, packet.Destination, packet.DestinationPort, packet.Protocol) is { } found
            ? new FlowTranslation(found.Service, found.ServicePort, found.Backend, found.BackendPort)
            : null;

    /// <summary>Moves the clock of the connection table and forgets what is over; to be called about every second.</summary>
    public void Tick()
    {
        if (State is null)
        {
            _ticked = clock.GetTimestamp();
            return;
        }

        var seconds = (uint)Math.Max(0, clock.GetElapsedTime(_ticked).TotalSeconds);
        if (seconds > 0)
        {
            _ticked += seconds * clock.TimestampFrequency;
            State.Connections.Tick(seconds);
        }

        // Reading the whole list every second is for lists in which something can end.
        if (Plan.Blocks.Values.Any(b => b.Until is not null))
        {
            State.BlockList.Sweep();
        }

        if (clock.GetElapsedTime(_swept) >= s_sweep)
        {
            _swept = clock.GetTimestamp();
            State.Connections.Sweep();
        }
    }

    private void Open()
    {
        if (State is null)
        {
            var maps = new EdgeMaps(Sizes);
            datapath.Open(maps.All);
            _maps = maps;
            State = new EdgeState(maps, clock);
            _ticked = clock.GetTimestamp();
        }
    }
}
