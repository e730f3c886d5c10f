namespace Skep.Bpf.Programming;

/// <summary>Marks the places in <see cref="Loop"/> where the compiler chooses for the kernel at hand.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LoopLoweringAttribute(LoopWay way) : Attribute
{
    /// <summary>The question that the method asks.</summary>
    public LoopWay Way { get; } = way;
}

/// <summary>Ways to write a loop.</summary>
public enum LoopWay
{
    /// <summary>Whether the body becomes a function that the kernel calls (<c>bpf_loop</c>, kernel 5.17).</summary>
    Callback,
    /// <summary>Whether the loop may go on; where the kernel can count, it decides (<c>may_goto</c>, kernel 6.9).</summary>
    MayGoto,
    /// <summary>Whether the kernel's iterator counts (<c>bpf_iter_num</c>, kernel 6.4), which is so where there is no <c>may_goto</c> yet.</summary>
    Iterator,
    /// <summary>The address of a variable for an iterator, whose type the method's result points to.</summary>
    IteratorVariable,
}
