using Skep.Bpf.KernelViews;

namespace Skep.Bpf.Programming;

/// <summary>Control groups for <c>foreach</c>, see <see cref="Cgroups"/>.</summary>
public readonly unsafe struct CgroupSweep
{
    private readonly Cgroup* _start;
    private readonly CgroupIterator.Order _order;

    internal CgroupSweep(Cgroup* start, CgroupIterator.Order order)
    {
        _start = start;
        _order = order;
    }

    /// <summary>Begins: <c>foreach</c> calls it.</summary>
    public Enumerator GetEnumerator()
    {
        var iterator = CgroupIterator.OnStack();
        _ = CgroupIterator.Begin(iterator, &_start->Self, _order);
        return new Enumerator(iterator);
    }

    /// <summary>The place in the sweep.</summary>
    public struct Enumerator : IDisposable
    {
        private readonly CgroupIterator* _iterator;
        private CgroupState* _state;

        internal Enumerator(CgroupIterator* iterator) => _iterator = iterator;

        /// <summary>The current group, to be read only.</summary>
        public readonly Cgroup* Current => _state->Cgroup;

        /// <summary>Goes to the next group; false at the end.</summary>
        public bool MoveNext()
        {
            _state = CgroupIterator.Next(_iterator);
            return _state != null;
        }

        /// <summary>Ends, on every way out of the loop: <c>foreach</c> calls it.</summary>
        public readonly void Dispose() => CgroupIterator.End(_iterator);
    }
}
