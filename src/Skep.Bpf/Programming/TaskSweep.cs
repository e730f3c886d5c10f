using Skep.Bpf.KernelViews;

namespace Skep.Bpf.Programming;

/// <summary>Tasks of the host for <c>foreach</c>, see <see cref="Tasks"/>.</summary>
public readonly unsafe struct TaskSweep
{
    private readonly TaskStruct* _task;
    private readonly TaskIterator.Which _which;

    internal TaskSweep(TaskStruct* task, TaskIterator.Which which)
    {
        _task = task;
        _which = which;
    }

    /// <summary>Begins: <c>foreach</c> calls it.</summary>
    public Enumerator GetEnumerator()
    {
        var iterator = TaskIterator.OnStack();
        _ = TaskIterator.Begin(iterator, _task, _which);
        return new Enumerator(iterator);
    }

    /// <summary>The place in the sweep.</summary>
    public struct Enumerator : IDisposable
    {
        private readonly TaskIterator* _iterator;

        internal Enumerator(TaskIterator* iterator) => _iterator = iterator;

        /// <summary>The current task, which stays until the program ends; not null.</summary>
        public TaskStruct* Current { get; private set; }

        /// <summary>Goes to the next task; false at the end.</summary>
        public bool MoveNext()
        {
            Current = TaskIterator.Next(_iterator);
            return Current != null;
        }

        /// <summary>Ends, on every way out of the loop: <c>foreach</c> calls it.</summary>
        public readonly void Dispose() => TaskIterator.End(_iterator);
    }
}
