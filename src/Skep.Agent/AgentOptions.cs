namespace Skep.Agent;

/// <summary>Which engine runs the programs.</summary>
internal enum EngineChoice
{
    /// <summary>The kernel when it can be programmed, else the twin, with a notice.</summary>
    Auto,
    Kernel,
    Twin,
}

/// <summary>How an agent runs.</summary>
internal sealed record AgentOptions
{
    /// <summary>Name of the instance; several agents on a host need different ones. Empty for the main one.</summary>
    public string Instance { get; init; } = "";

    public EngineChoice Engine { get; init; } = EngineChoice.Auto;

    /// <summary>Files and directories with resources, watched for changes.</summary>
    public IReadOnlyList<string> Resources { get; init; } = [];

    /// <summary>Address of the read-only TCP listener; null for none.</summary>
    public string? Listen { get; init; } = DefaultListen;

    /// <summary>Capture the twin engine plays; null for the bundled sample.</summary>
    public string? Pcap { get; init; }

    /// <summary>Interfaces to observe; empty for all but loopback.</summary>
    public IReadOnlyList<string> Observe { get; init; } = [];

    /// <summary>Remove everything from the kernel when the agent ends in order.</summary>
    public bool Detach { get; init; }

    /// <summary>Recreate pinned maps whose layout differs from this version's, which forgets their content.</summary>
    public bool Recreate { get; init; }

    /// <summary>Log less: the terminal belongs to a live view.</summary>
    public bool Quiet { get; init; }

    /// <summary>Places of this instance.</summary>
    public AgentPaths Paths { get; init; } = AgentPaths.For("");

    public const string DefaultListen = "127.0.0.1:9180";
}
