-- Let no two announce at once; readers and apply are not kept waiting.
lock table trempy.announcements in share row exclusive mode
