using Skep.Bpf.Links;

namespace Skep.Bpf.Elf;

/// <summary>What the programs of an object are attached to where their sections do not say it. What is null is not attached to.</summary>
public sealed record AttachOptions
{
    /// <summary>Index of the interface for XDP programs, and for TC programs whose section says a direction.</summary>
    public int? Interface { get; init; }

    /// <summary>How XDP programs run.</summary>
    public XdpMode XdpMode { get; init; } = XdpMode.Auto;

    /// <summary>Directory of the control group (version 2) for programs of control groups.</summary>
    public string? Cgroup { get; init; }

    /// <summary>The process in which uprobes and USDT probes run; -1 for all, also those to come.</summary>
    public int ProcessId { get; init; } = -1;
}

/// <summary>What came of attaching a program or table of an object.</summary>
/// <param name="Name">Name of the program or table.</param>
/// <param name="Section">Its section.</param>
/// <param name="Target">What it is attached to, in words; empty when nothing says it.</param>
/// <param name="Links">The links, one for each place; none when it is not attached.</param>
/// <param name="Reason">Why it is not attached although nothing failed: nothing says to what. Else null.</param>
/// <param name="Error">Why attaching failed, or null.</param>
public sealed record ObjectAttachment(string Name, string Section, string Target, IReadOnlyList<Link> Links, string? Reason, Exception? Error);
