namespace Skep.Bpf.Twin.Maps;

/// <content>How entries are taken, linked by recency, and given back.</content>
internal sealed unsafe partial class TwinHashStorage<TShape>
{
    /// <summary>A new entry with its key set, its value not; 0 when the map is full.</summary>
    private uint Append(byte* key)
    {
        if (_count == MaxEntries)
        {
            if (!_isLru)
            {
                return 0;
            }

            EvictOldest();
        }

        var number = TakeFree();
        Fill(number, key);
        var hash = TShape.Hash(key, _keySize);
        var i = hash & _mask;
        while (_index[i] != 0)
        {
            i = (i + 1) & _mask;
        }

        _index[i] = ((ulong)hash << 32) | number;
        _count++;
        return number;
    }

    private void EvictOldest()
    {
        var oldest = *(uint*)_entries;
        Drop(FindSlot(Entry(oldest) + HeaderSize));
    }

    private void Drop(int slot)
    {
        var number = (uint)_index[slot];
        if (_isLru)
        {
            Unlink(number);
        }

        RemoveSlot((uint)slot);
        SetFree(number, _freeHead);
        _freeHead = number;
        _count--;
    }

    /// <summary>Empties a slot and moves back those behind it that would no longer be found (Knuth, volume 3, 6.4, algorithm R).</summary>
    private void RemoveSlot(uint hole)
    {
        for (var i = (hole + 1) & _mask; _index[i] != 0; i = (i + 1) & _mask)
        {
            var home = (uint)(_index[i] >> 32) & _mask;
            if (((i - home) & _mask) >= ((i - hole) & _mask))
            {
                _index[hole] = _index[i];
                hole = i;
            }
        }

        _index[hole] = 0;
    }

    private uint TakeFree()
    {
        var number = _freeHead;
        if (number == 0)
        {
            number = _used++;
            SetFree(number, 0);
        }
        else
        {
            _freeHead = ((uint*)Entry(number))[1];
        }

        return number;
    }

    private void SetFree(uint number, uint next)
    {
        var links = (uint*)Entry(number);
        links[0] = Free;
        links[1] = next;
    }

    private void Fill(uint number, byte* key)
    {
        var entry = Entry(number);
        Copy(key, entry + HeaderSize, _keySize);
        if (_isLru)
        {
            LinkFirst(number);
        }
        else
        {
            *(ulong*)entry = 0;
        }
    }

    private void TouchIfLru(uint number)
    {
        if (_isLru)
        {
            Touch(number);
        }
    }

    private void Touch(uint number)
    {
        if (((uint*)_entries)[1] != number)
        {
            Unlink(number);
            LinkFirst(number);
        }
    }

    private void Unlink(uint number)
    {
        var links = (uint*)Entry(number);
        ((uint*)Entry(links[0]))[1] = links[1];
        ((uint*)Entry(links[1]))[0] = links[0];
    }

    private void LinkFirst(uint number)
    {
        var head = (uint*)_entries;
        var links = (uint*)Entry(number);
        links[0] = 0;
        links[1] = head[1];
        ((uint*)Entry(head[1]))[0] = number;
        head[1] = number;
    }
}
