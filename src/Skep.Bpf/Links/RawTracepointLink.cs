using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A program on a raw tracepoint with typed arguments (<c>tp_btf</c>, kernel 5.5).</summary>
public sealed class RawTracepointLink : Link
{
    internal RawTracepointLink(TracingLink link)
        : base(link)
    {
    }

    /// <summary>Attaches a program to the tracepoint it was loaded for.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public static RawTracepointLink Attach(LoadedProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        return new RawTracepointLink(new TracingLink(TracingLink.Open(program)));
    }
}
