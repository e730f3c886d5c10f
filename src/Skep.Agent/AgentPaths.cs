namespace Skep.Agent;

/// <summary>Where an instance of the agent keeps its things.</summary>
/// <param name="Runtime">Socket and lock; gone after a boot, like what is pinned in the kernel.</param>
/// <param name="State">What was applied and blocked by command; survives boots.</param>
/// <param name="Pins">Directory in the BPF file system.</param>
internal sealed record AgentPaths(string Runtime, string State, string Pins)
{
    /// <summary>The socket of the API.</summary>
    public string Socket => Path.Combine(Runtime, "skep.sock");

    /// <summary>Held by the agent that runs.</summary>
    public string Lock => Path.Combine(Runtime, "skep.lock");

    /// <summary>Resources taken by <c>skep apply</c>.</summary>
    public string Applied => Path.Combine(State, "applied.yaml");

    /// <summary>The resources that were in force last.</summary>
    public string LastGood => Path.Combine(State, "last-good.yaml");

    /// <summary>Addresses blocked by <c>skep block</c>.</summary>
    public string Blocks => Path.Combine(State, "blocks.json");

    /// <summary>Drains with a deadline.</summary>
    public string Drains => Path.Combine(State, "drains.json");

    /// <summary>The places for this user: those of the system for root, private ones for others.</summary>
    public static AgentPaths For(string instance)
    {
        if (Environment.IsPrivilegedProcess)
        {
            return new(Under("/run/skep", instance), Under("/var/lib/skep", instance), Under("/sys/fs/bpf/skep", instance));
        }

        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var runtime = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } given ? Path.Combine(given, "skep") : Path.Combine(home, ".cache/skep/run");
        return new(Under(runtime, instance), Under(Path.Combine(home, ".local/state/skep"), instance), Under("/sys/fs/bpf/skep", instance));
    }

    // The pins of an instance stand beside those of the main one, not under them, so that removing one cannot touch the other.
    private static string Under(string directory, string instance) => instance.Length == 0 ? Path.Combine(directory, "main") : Path.Combine(directory, instance);

    /// <summary>Whether a name can be that of an instance.</summary>
    public static bool IsInstance(string name) => name.Length <= 32 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}
