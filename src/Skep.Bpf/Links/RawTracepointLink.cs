using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>
/// A program on a raw tracepoint (typed <c>tp_btf</c>, kernel 5.5; untyped <c>raw_tp</c>, 4.17), on a kernel function (fentry, fexit, fmod_ret)
/// or on a security hook.
/// </summary>
public sealed class RawTracepointLink : Link
{
    internal RawTracepointLink(TracingLink link)
        : base(link)
    {
    }

    /// <summary>Attaches a program to the tracepoint or function that its section names.</summary>
    /// <exception cref="BpfException">The kernel refused; ENOENT when it has no such tracepoint.</exception>
    public static RawTracepointLink Attach(LoadedProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        return new RawTracepointLink(new TracingLink(TracingLink.Open(program)));
    }
}
