namespace Skep.Bpf.Programming;

/// <summary>
/// A pointer to an object of the kernel that a map's value holds a reference to (<c>__kptr</c>, kernel 5.19): whoever takes it out must give the
/// reference back or put it into another. When the entry goes, the kernel gives the reference back.
/// </summary>
/// <typeparam name="TView">View of the object, for example <c>TaskStruct</c>, of a kind that the kernel knows how to give back.</typeparam>
public unsafe struct KernelPointer<TView>
    where TView : unmanaged
{
    private TView* _object;

    /// <summary>
    /// Puts a reference in and takes out what was there (<c>bpf_kptr_xchg</c>), in one step. Test the result for null; what is not null is the program's
    /// to give back.
    /// </summary>
    /// <param name="reference">A reference the program owns, which it no longer does afterwards; or null.</param>
    [KernelHelper(194, Since = "5.19")]
    public TView* Exchange(TView* reference)
    {
        var previous = _object;
        _object = reference;
        return previous;
    }

    /// <summary>Whether there is a reference now; another program may take it at once.</summary>
    public readonly bool IsEmpty => _object == null;
}
