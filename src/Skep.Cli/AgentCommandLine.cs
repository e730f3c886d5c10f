using System.CommandLine;
using Skep.Agent;

namespace Skep.Cli;

/// <summary>The options of the verbs that run an agent.</summary>
internal sealed class AgentCommandLine
{
    private readonly Option<string> _instance = CommonOptions.Instance();
    private readonly Option<EngineChoice> _engine = CommonOptions.Engine();
    private readonly Option<string?> _pcap = new("--pcap") { Description = "Capture (pcap, pcapng) for the twin engine to play.", HelpName = "file" };
    private readonly Option<string[]> _resources = new("--resources", "-f") { HelpName = "path" };
    private readonly Option<string> _listen = new("--listen")
    {
        Description = "Address of the read-only TCP port for metrics and views, or 'off'.", HelpName = "host:port", DefaultValueFactory = _ => AgentOptions.DefaultListen,
    };

    private readonly Option<string[]> _observe = new("--observe") { Description = "Observe only these interfaces; all but loopback unless given.", HelpName = "interface" };
    private readonly Option<string?> _state = new("--state") { Description = "Directory for what was applied and blocked by command.", HelpName = "directory" };
    private readonly Option<string?> _bpffs = new("--bpffs") { Description = "Where the BPF file system is mounted (/sys/fs/bpf).", HelpName = "directory" };
    private readonly Option<bool> _recreate = new("--recreate") { Description = "Replace pinned maps of another version that cannot be carried over by empty ones." };
    private readonly string? _defaultResources;

    private AgentCommandLine(string? defaultResources)
    {
        _defaultResources = defaultResources;
        _resources.Description = "File or directory with resources, watched for changes"
            + (defaultResources is null ? "; none unless given." : $"; {defaultResources} if it exists.");
    }

    /// <summary>Adds the options to a verb.</summary>
    public static AgentCommandLine On(VerbCommand verb, string? defaultResources)
    {
        var line = new AgentCommandLine(defaultResources);
        foreach (var option in new Option[] { line._resources, line._engine, line._pcap, line._observe, line._listen, line._instance, line._state, line._bpffs, line._recreate })
        {
            verb.Add(option);
        }

        return line;
    }

    /// <summary>The options as given.</summary>
    public AgentOptions Read(ParseResult result)
    {
        var instance = result.GetValue(_instance)!;
        var resources = result.GetValue(_resources) ?? [];
        if (resources.Length == 0 && Directory.Exists(_defaultResources))
        {
            resources = [_defaultResources];
        }

        if (result.GetValue(_pcap) is { } pcap && !File.Exists(pcap))
        {
            throw new VerbException($"there is no file {Output.Safe.Text(pcap)}.");
        }

        var listen = result.GetValue(_listen)!;
        return new AgentOptions
        {
            Instance = instance,
            Engine = result.GetValue(_engine),
            Pcap = result.GetValue(_pcap),
            Resources = [.. resources.Select(Path.GetFullPath)],
            Listen = listen is "off" or "" ? null : listen,
            Observe = result.GetValue(_observe) ?? [],
            Recreate = result.GetValue(_recreate),
            Paths = PathsOf(instance, result.GetValue(_state), result.GetValue(_bpffs)),
        };
    }

    /// <summary>Places of an instance, with what was given on the command line.</summary>
    public static AgentPaths PathsOf(string instance, string? state, string? bpffs)
    {
        var paths = AgentPaths.For(instance);
        return paths with
        {
            State = state is null ? paths.State : Path.GetFullPath(state),
            Pins = bpffs is null ? paths.Pins : Path.Combine(Path.GetFullPath(bpffs), Path.GetRelativePath("/sys/fs/bpf", paths.Pins)),
        };
    }
}
